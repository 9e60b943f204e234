"""A person who does not exist: geometry, surface, motion and voice of the demo clip, rendered in numpy."""
