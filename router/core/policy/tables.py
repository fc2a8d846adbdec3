"""A precomputed table as a version."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from router.core.policy.finding import Finding

if TYPE_CHECKING:
    from router.core.policy.route import Route


def tables_have_models(route: Route) -> Iterator[Finding]:
    """What a table does not have is asked of a version with endpoints."""
    for name, version in route.versions.items():
        if version.table is None:
            continue
        miss, path = version.table.miss, ("versions", name, "table", "miss")
        model = route.versions.get(miss)
        if model is None or not model.endpoints:
            models = ", ".join(one for one, known in route.versions.items() if known.endpoints)
            message = f"expected a version with endpoints ({models or 'none'}), got {miss!r}"
            yield Finding(path, message, "name the model that computes the table")
        written = {"endpoints", "set", "person", "tls", "health"} & version.model_fields_set
        if written:
            message = f"expected no {', '.join(sorted(written))} beside table: {miss} has them"
            yield Finding(("versions", name), message, "leave them out")
