"""Avatars: what draws a person. One protocol, two renderers, one folder format."""
