"""Whose face is where: detectors, identities, 478 points."""
