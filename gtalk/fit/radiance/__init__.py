"""Fitting the hash-grid radiance field: where matter is, what a code reaches, warp, torso and plate."""
