"""Clips in, a table out: every clip is made into an avatar and measured on what no trainer saw."""
