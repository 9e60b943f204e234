"""Dubs for programs: a REST server."""
