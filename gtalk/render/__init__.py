"""Turning fields into images: pure functions over gtalk.ops."""
