"""Where versions are: what one is known by, and where its requests go."""

from __future__ import annotations

from collections.abc import Iterable

from router.core.policy import Route, Version


def endpoints_of(version: Version) -> tuple[str, ...]:
    """Where it is, in a fixed order; a table is its file."""
    if version.table is not None:
        return (f"table:{version.table.file}",)
    return tuple(sorted(str(endpoint) for endpoint in version.endpoints))


def reached_at(route: Route, name: str) -> tuple[str, ...]:
    """The endpoints that requests to a version go to; of a table those of its model."""
    version = route.versions[name]
    model = route.versions.get(version.table.miss) if version.table is not None else None
    return endpoints_of(model or version)


def places(routes: Iterable[Route]) -> dict[tuple[str, str], tuple[str, ...]]:
    """Where every version of these routes is."""
    return {
        (route.name, name): reached_at(route, name) for route in routes for name in route.versions
    }
