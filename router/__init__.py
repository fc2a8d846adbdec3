"""Rampway: a deployment-strategy traffic router for prediction services."""

__version__ = "0.1.0"
