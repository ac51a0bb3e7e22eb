"""Darestani, Chaudhari and Heckel 2021: what all families lose to an adversary, to a shift, and in small features."""
