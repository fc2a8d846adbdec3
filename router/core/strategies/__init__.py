"""Every strategy, by the name it has in a policy.

A new strategy is one new file with its settings and its ``plan()``, and one line in
:data:`STRATEGIES`; decoding, ``check``, ``plan``, the JSON Schema and the dashboard follow.
"""

from router.core.spec import Kinds
from router.core.strategies.automation import Automation
from router.core.strategies.base import ApprovalPolicy, StepPolicy, Strategy, Until
from router.core.strategies.blue_green import BlueGreen
from router.core.strategies.canary import RAMPS, Auto, Canary, Exponential, Linear, RampPolicy
from router.core.strategies.experiment import BanditPolicy, Experiment
from router.core.strategies.shadow import Shadow

STRATEGIES: Kinds[Strategy] = Kinds(
    {
        "canary": Canary,
        "blue_green": BlueGreen,
        "shadow": Shadow,
        "experiment": Experiment,
        "automation": Automation,
    }
)
"""The visible table of strategies."""

__all__ = [
    "RAMPS",
    "STRATEGIES",
    "ApprovalPolicy",
    "Auto",
    "Automation",
    "BanditPolicy",
    "BlueGreen",
    "Canary",
    "Experiment",
    "Exponential",
    "Linear",
    "RampPolicy",
    "Shadow",
    "StepPolicy",
    "Strategy",
    "Until",
]
