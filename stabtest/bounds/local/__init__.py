"""Bounds that hold on a ball around one input."""
