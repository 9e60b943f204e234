"""Other people's kernels behind our interfaces."""
