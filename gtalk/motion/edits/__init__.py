"""What changes a motion between the model and the renderer."""
