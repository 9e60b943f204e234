"""Bundle adjustment of one face: camera, shape, poses and expression."""
