"""Envoy as data plane: the process beside it that tells it routes and counts what it did."""
