"""A live session: its clock, its statistics, its recorder, and the set of sessions."""
