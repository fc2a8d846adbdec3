"""Rollouts being carried out.

Start reading in :mod:`router.control.rollouts.reconciler`, the one decider.
"""
