"""Turning fields into pictures: pure functions over gtalk.ops."""
