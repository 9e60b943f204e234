"""What is said about where a picture comes from: an invisible mark, a word, tags and signatures, and whose consent."""
