"""The motion model: network, voice-activity gate, labial closure, amplitude, and how it is kept."""
