"""A typed text becomes speech."""
