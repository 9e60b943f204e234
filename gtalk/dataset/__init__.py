"""The dataset folder: its format, its reader, its split."""
