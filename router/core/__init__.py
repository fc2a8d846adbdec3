"""The pure heart: policy, plan, machine, gates, evidence, traffic.

No IO, no clock, no randomness: time and coins are arguments.
"""
