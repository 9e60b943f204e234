"""Files, streams and pipes that are written."""
