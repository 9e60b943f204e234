"""`gtalk eval --expression`: what an avatar's expressions look like to independent judges."""
