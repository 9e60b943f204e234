"""Speech -> motion of one person's face: learned from the person's own clip, streamed, edited.

samples ─▶ speech features ─▶ net (lips, brows) ─▶ silence gate ─┐
└─ prosody ─▶ head, gaze, blinks (idle life) ────┴─▶ Motion ─▶ edits ─▶ renderer
"""
