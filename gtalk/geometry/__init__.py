"""Rotations, rigid poses and 2-D similarities: written once, numpy in and out."""
