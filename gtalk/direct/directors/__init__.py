"""Who writes scores: a grammar, tags in a text, a language model, the voice. They write events only."""
