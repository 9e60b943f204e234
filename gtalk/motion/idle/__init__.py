"""What a face does by itself: head, blinks, gaze."""
