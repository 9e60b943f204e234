"""Files in: images and sound on one clock, cuts, the offset between lips and sound."""
