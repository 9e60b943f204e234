"""One port: requests checked and answered, images and sound over a socket, speech from programs."""
