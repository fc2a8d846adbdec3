"""Monitors of what comes in and goes out: drift named, both arms told apart, nobody blamed for it.

A check is a line of :data:`.checks.CHECKS`; :class:`.monitors.Monitors` puts everything together.
"""
