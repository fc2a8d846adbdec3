"""What operators write, as frozen types: the whole of a policy.

Every key of the YAML is a field here, with its meaning and unit below it; nothing else is accepted.
tests/tidy/test_wiring.py sees to it that each of them is read. Rules that span several fields are
in :mod:`.rules`.
"""

from router.core.addresses import refusal
from router.core.policy.endpoint import parse_endpoint
from router.core.policy.match import Match, ValueMatch
from router.core.policy.rollout import (
    Mirroring,
    OnNoData,
    Promotion,
    Rescue,
    RolloutPolicy,
    WarmUp,
)
from router.core.policy.route import RetryPolicy, Route, Rule, Sticky, StickyCookie, Timeouts
from router.core.policy.server import (
    Admin,
    Certificate,
    LimitsPolicy,
    Policy,
    Role,
    Token,
    is_loopback,
    split_address,
)
from router.core.policy.version import Health, Outlier, UpstreamTls, Version

__all__ = [
    "Admin",
    "Certificate",
    "Health",
    "LimitsPolicy",
    "Match",
    "Mirroring",
    "OnNoData",
    "Outlier",
    "Policy",
    "Promotion",
    "Rescue",
    "RetryPolicy",
    "Role",
    "RolloutPolicy",
    "Route",
    "Rule",
    "Sticky",
    "StickyCookie",
    "Timeouts",
    "Token",
    "UpstreamTls",
    "ValueMatch",
    "Version",
    "WarmUp",
    "is_loopback",
    "parse_endpoint",
    "refusal",
    "split_address",
]
