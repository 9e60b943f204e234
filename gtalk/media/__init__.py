"""Video and audio in and out. PyAV (the FFmpeg libraries in a wheel) is used only here."""
