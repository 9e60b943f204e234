"""What is sculpted by hand on a drawing's face: shapes (where skin goes) and folds (where it creases)."""
