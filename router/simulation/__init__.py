"""Rollouts in virtual time: the product's own judge, machine and plan in a drawn world.

``simulate`` runs a policy many times; ``python -m tests.bench.decisions`` makes the
tables of docs/statistics.md. Only ``world`` and ``run`` need numpy.
"""
