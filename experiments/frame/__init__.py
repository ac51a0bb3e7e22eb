"""What the reproductions of published experiments share: claims, pieces of results on disk, scans and methods, pages.

An experiment is a folder ``experiments/NAME`` with

- ``README.md``: the claims, their source, our set-up, what differs;
- ``expected.json``: the claims as statements that can be checked (`experiments.frame.claims`);
- ``measure.py``: ``SETTINGS`` (what is measured at each setting) and ``measure(settings, pieces) -> Measured``;
- ``figures.py``: ``draw(measured) -> list[Figure]``.

``python -m experiments.NAME`` measures what is not on disk yet, draws the paper's figures from these data, and writes ``reports/NAME``; its
last lines are the table of the claims (`experiments.frame.run`). ``python -m experiments --all`` runs all of them and gathers their claims.
"""
