"""Files that others made: bounded readers, weights, optional models by hash."""
