"""Learning a motion model from one person's clip, or a start for all from many."""
