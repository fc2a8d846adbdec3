"""A knob of the policy goes to the workers by rule: the same name, with its unit added.

``queue_timeout: 5s`` of a version is ``queue_timeout_s=5.0`` of its entry in the table. A worker
imports no policy, so there are two types; which field is which is found once, at import, and that
fails when a field of either has no counterpart and nobody says that it is derived.
"""

from __future__ import annotations

import inspect
from operator import attrgetter
from typing import Any, Generic, TypeVar

from router.core.policy.rollout import Mirroring, Rescue
from router.core.policy.route import RetryPolicy, Timeouts
from router.core.policy.server import LimitsPolicy
from router.core.policy.tunnels import Tunnels
from router.core.policy.version import Health, Outlier, UpstreamTls, Version
from router.core.spec import Spec
from router.core.wire import table
from router.core.wire.tunnels import TunnelEntry

UNITS = ("", "_s", "_bytes", "_bp", "_file")

E = TypeVar("E")


class ByRule(Generic[E]):
    """Makes entries of one kind from policies of one type."""

    def __init__(
        self, kind: type[E], source: type[Spec], *, derived: str = "", unlike: str = "",
        **named: str,
    ) -> None:  # fmt: skip
        """Raises TypeError for a field that nobody gives, or that nobody takes.

        ``derived``: fields of the entry that the caller gives; ``unlike``: those of the policy that
        go no way of their own; ``named``: field of the entry -> its name in the policy.
        """
        self.kind = kind
        keys = set(source.model_fields)
        fields = set(inspect.signature(kind).parameters) - set(derived.split())
        self.pairs = tuple(
            (field, named.get(field) or _key(field, keys)) for field in sorted(fields)
        )
        lost = {field for field, key in self.pairs if not key}
        lost |= keys ^ {key for _, key in self.pairs if key} ^ set(unlike.split())
        if lost:
            raise TypeError(f"{source.__name__} and {kind.__name__} differ in {', '.join(lost)}")
        self._fields = tuple(field for field, _ in self.pairs)
        self._read = attrgetter(*(key for _, key in self.pairs))

    def __call__(self, source: Spec, **derived: Any) -> E:
        """What the policy leaves out (None) has the entry's default."""
        values = self._read(source)
        given = zip(self._fields, values, strict=True)
        if None in values:
            derived |= {field: value for field, value in given if value is not None}
        else:  # a table is made on the way of a rollback
            derived |= given
        return self.kind(**derived)


def _key(field: str, keys: set[str]) -> str:
    """What the field is called in the policy; the longest, for `queue` and `queue_bytes`."""
    found = (key for key in keys if any(field == key + unit for unit in UNITS))
    return max(found, key=len, default="")


LIMITS = ByRule(
    table.ListenerLimits,
    LimitsPolicy,
    derived="control_silence_s",
    upload_bytes_per_s="upload_rate",
)
TIMEOUTS = ByRule(table.TimeoutsEntry, Timeouts)
RETRY = ByRule(table.RetryEntry, RetryPolicy)
RESCUE = ByRule(table.RescueEntry, Rescue, derived="statuses timeout connect schema", unlike="on")
TUNNEL = ByRule(
    TunnelEntry, Tunnels, derived="closing cut", unlike="on_rollback", bytes_max="bytes"
)
MIRRORING = ByRule(
    table.MirrorLimits,
    Mirroring,
    derived="strip_headers",
    unlike="strip_headers keep_headers undelivered",
)
VERSION = ByRule(
    table.VersionEntry, Version, derived="name tls health outlier edit",
    unlike="model set tls price health outlier",
)  # fmt: skip
TLS = ByRule(
    table.TlsEntry, UpstreamTls, derived="server_name", unlike="server_name",
    cert_file="certificate",
)  # fmt: skip
HEALTH = ByRule(table.HealthCheck, Health, derived="host connect")
OUTLIER = ByRule(table.OutlierEntry, Outlier)
