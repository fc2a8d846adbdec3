"""What Envoy was offered and what it took: discovery by REST, without IO.

Envoy asks with the version that it has. One that it has not taken, asked for again although it was
answered, was refused: it keeps what it had. A lost answer looks the same, so each is given twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from router.agent.naming import EnvoyJson

TRIES: Final = 2


class Resource(StrEnum):
    """Of resources; the value is what Envoy asks for: ``/v3/discovery:VALUE``."""

    CLUSTERS = "clusters"
    LISTENERS = "listeners"
    ROUTES = "routes"


class Say(StrEnum):
    """What a question is answered with."""

    NOW = "now"
    """The newest version."""
    LATER = "later"
    """When there is another one."""


@dataclass
class Offer:
    """One kind of resource: the newest version, and how far Envoy is with it."""

    boot: str
    """Of this process, so that no version is ever two."""
    number: int = 0
    resources: tuple[EnvoyJson, ...] = ()
    body: bytes = b""
    """Of the answer."""
    taken: int = 0
    """The number of the version that Envoy has, 0 for none of ours."""
    refused: int = 0
    """The number of the last version that it did not take."""
    tries: int = 0

    @property
    def version(self) -> str:
        """As Envoy knows it."""
        return f"{self.boot}.{self.number}"

    @property
    def settled(self) -> bool:
        """Whether Envoy has the newest."""
        return self.number > 0 and self.taken == self.number

    @property
    def is_refused(self) -> bool:
        """Whether Envoy does not want the newest."""
        return self.number > 0 and self.refused == self.number

    def put(self, resources: Iterable[EnvoyJson]) -> bool:
        """Offer these from now on; False: they are what is offered."""
        new = tuple(resources)
        if self.number and new == self.resources:
            return False
        self.number += 1
        self.resources, self.tries = new, 0
        answer = {"version_info": self.version, "resources": list(new)}
        self.body = json.dumps(answer).encode()
        return True

    def asked(self, has: str) -> Say:
        """Envoy asks, having this version."""
        if not self.number:
            return Say.LATER
        if has == self.version:
            self.taken = self.number
            return Say.LATER
        if self.tries >= TRIES:
            self.refused = self.number
            return Say.LATER
        self.tries += 1
        return Say.NOW

    def lost(self) -> None:
        """An Envoy that begins has nothing."""
        self.taken = self.tries = self.refused = 0


@dataclass
class Offers:
    """All kinds, in the order in which none names what is not there yet."""

    boot: str
    of: dict[Resource, Offer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.of = {kind: Offer(self.boot) for kind in Resource}

    @property
    def settled(self) -> bool:
        """Whether Envoy has the newest of everything."""
        return all(offer.settled for offer in self.of.values())

    @property
    def numbers(self) -> tuple[int, ...]:
        """Which version of each kind is offered."""
        return tuple(offer.number for offer in self.of.values())

    @property
    def refused(self) -> Resource | None:
        """What Envoy did not want of the newest."""
        return next((kind for kind, offer in self.of.items() if offer.is_refused), None)

    def lost(self) -> None:
        """An Envoy that begins has nothing."""
        for offer in self.of.values():
            offer.lost()
