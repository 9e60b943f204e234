"""One port: requests checked and answered, pictures and sound over a socket, speech from programs."""
