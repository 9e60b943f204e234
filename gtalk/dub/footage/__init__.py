"""Dubbing somebody's footage: the face put back into the shot, behind what covers it, with its grain."""
