"""Cheng et al. 2020: small features that are in the data and not in the image, found by search, and what robust training does about them."""
