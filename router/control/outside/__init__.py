"""Servers of other people: hooks, alerts, registries and measurements, called with bounds."""
