"""Mattes and labels: head, neck, torso, lips, and the plate behind."""
