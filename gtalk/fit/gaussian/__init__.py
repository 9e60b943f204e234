"""Fitting 3D Gaussians: where they start, how they move on, poses corrected on the way."""
