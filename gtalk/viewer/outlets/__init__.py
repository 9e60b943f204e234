"""Where a live session's picture and sound go beside its page: media servers, a camera, a loudspeaker."""
