"""Forwarding: from a client's bytes to a version's answer and back, and what was seen of it."""
