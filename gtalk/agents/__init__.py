"""Conversation: a language model, a voice and ears on a live face."""
