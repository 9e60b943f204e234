"""Surfaces, light and the rasteriser."""
