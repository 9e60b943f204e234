"""How the torso moves under the head."""
