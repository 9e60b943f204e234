"""Motion in other programs' files."""
