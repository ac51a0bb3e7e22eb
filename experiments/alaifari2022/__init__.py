"""Alaifari, Alberti and Gauksson 2023: artefacts in one place, found for total variation and for networks."""
