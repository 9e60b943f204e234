"""What the demo person is made of."""
