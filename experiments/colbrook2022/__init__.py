"""Colbrook, Antun and Hansen 2022: the network that stays stable, and the accuracy it pays with."""
