"""Expressions that the clip never showed, drawn on an avatar: geometry where the learned basis ends."""
