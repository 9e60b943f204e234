"""How the ears of gtalk were made: speech with known phones, and a small network taught by it."""
