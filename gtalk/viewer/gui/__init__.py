"""viser's side: panels of the live view, the view of a running fit."""
