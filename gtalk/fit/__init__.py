"""Fitting an avatar to a dataset: the trainer, its losses, sampling, schedules and events."""
