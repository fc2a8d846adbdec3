"""The control plane: decides, remembers, and tells the workers.

Start reading in :mod:`router.control.rollouts.reconciler` (the one decider); people come in through
:mod:`router.control.told.controller`.
"""
