"""What other programs read: Gaussians as PLY."""
