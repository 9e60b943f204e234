"""How it moves and speaks."""
