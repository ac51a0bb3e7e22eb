"""What is said: from measured rows to the document that the report is rendered from, and the files beside it.

`assemble` joins what the others write: `sections` and `imaging_sections` (what was measured, and how), `brackets` (found gains against bounds),
`judge` (verdicts), `pictures` (which are shown), `limitations`, `provenance`. `rejudge` holds known results against other criteria. `sidecar`,
`witnesses` and `export` write pictures, perturbations and images for other programs.
"""
