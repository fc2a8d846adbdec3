"""What the author of a policy may want to know although nothing is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from router.core.policy.route import Route
from router.core.policy.server import Policy

USUAL: Final = ("authorization", "cookie", "x-api-key")
"""Fields that a sentence names before it says that there are more."""


def advice(policy: Policy) -> Iterator[str]:
    """Sentences, each with the name of its route."""
    for route in policy.routes:
        for said in (_salt(route), _credentials(route)):
            if said:
                yield f"{route.name}: {said}"


def _salt(route: Route) -> str:
    """Each router makes a salt of its own, so several would send one user to two versions."""
    sticky = route.sticky
    if sticky is None or sticky.salt is not None:
        return ""
    return (
        "several routers must hash keys alike to agree on a user's version: give each "
        'sticky: {salt: "${file:salt}"} with the same file; a single one keeps its own'
    )


def _credentials(route: Route) -> str:
    """Copies carry no credential, and a shadow that asks for one refuses them all."""
    rollout = route.rollout
    if rollout is None or rollout.mirroring.keep_headers:
        return ""
    stripped = rollout.mirroring.strip_headers
    copied = any(step.mirror_bp for step in rollout.plan().steps) or rollout.compare.reverse
    if not copied or not stripped:
        return ""
    first = [name for name in USUAL if name in stripped] or stripped
    named = ", ".join(first) + (", ..." if len(stripped) > len(first) else "")
    return (
        f"copies go without credentials ({named}); a version that asks for one: "
        "mirroring: {keep_headers: [authorization]}"
    )
