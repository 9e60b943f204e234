"""The live session over WebRTC: watched, talked to, and sent on to media servers. Needs the extra `webrtc`."""
