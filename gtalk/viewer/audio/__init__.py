"""Where a live face hears from: microphones, files, stdin, sound cards; told from its own echo."""
