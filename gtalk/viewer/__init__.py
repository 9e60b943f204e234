"""The live view: a page with the avatar, the visitor's microphone, and viser for orbit and controls."""
