"""What pages stand on: a port, who may come in, and the rules of answers."""
