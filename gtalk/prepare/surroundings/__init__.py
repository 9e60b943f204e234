"""What lies between the person and the file: the exposure, the camera's own movement, a room that lives."""
