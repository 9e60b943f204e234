"""Several people in one picture: who speaks when, where each stands and looks, and the film of it."""
