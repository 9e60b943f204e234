"""From clips to a dataset: landmarks, tracking, masks, background, motion, quality, in stages that resume."""
