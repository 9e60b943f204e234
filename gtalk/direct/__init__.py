"""Direction: what a face is asked to do, as a score of events over time, and who writes such scores."""
