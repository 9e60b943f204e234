"""What computes and how: the device, threads, and that who waits sleeps."""
