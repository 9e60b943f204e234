"""From clips to a talking avatar, and from an expression take to its bank."""
