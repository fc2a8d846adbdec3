"""Host names of endpoints, looked up again and again; every address of a name is one to connect to.

A policy is checked when it is loaded, but a name can be pointed elsewhere afterwards (DNS
rebinding): to the metadata service of a cloud, for one. So every address is checked again whenever
it is found, and the connection goes to the address that was checked. A lookup that fails changes
nothing: the addresses found before stay in use.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final

from router.core.addresses import refusal
from router.loops import background, forever

ADDRESSES_MAX: Final = 256
"""Addresses of one name that are used."""
AGAIN_S: Final = 1.0
"""A lookup that failed is tried again after this, doubled each time up to the name's interval."""
ERROR_TEXT_MAX: Final = 200
"""Characters of a lookup's error that are kept for people."""

_NOT_CONFIGURED = socket.AI_ADDRCONFIG
"""Leaves out the address family that this machine has no address of."""


def literal(host: str) -> bool:
    """Whether ``host`` is an address already."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


async def addresses(host: str) -> tuple[str, ...]:
    """Addresses of ``host`` in the resolver's order, of IPv4 and IPv6 alike.

    An address stands for itself. Raises OSError for a name that is not known, or one of whose
    addresses is refused; UnicodeError for one that no resolver would take.
    """
    if literal(host):
        return (host,)  # checked with the policy
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=_NOT_CONFIGURED)
    except socket.gaierror:  # a machine that has none but loopback addresses
        found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    resolved = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))[:ADDRESSES_MAX]
    for address in resolved:
        if reason := refusal(ip_address(address.partition("%")[0])):
            raise PermissionError(f"{host} is at {address} now: {reason}")
    if not resolved:
        raise OSError(f"{host} has no address")
    return resolved


class _Name:
    """One name and who follows it."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.addresses: tuple[str, ...] = ()
        self.error = ""
        self.failures = 0
        """Lookups in a row that found nothing."""
        self.looked_up = asyncio.Event()
        self.followers: dict[Callable[[], None], float] = {}
        self.task: asyncio.Task[None] | None = None

    async def watch(self) -> None:
        """Look it up for ever; the one who starts this ends it."""
        await forever("names", self._turn)

    async def _turn(self) -> None:
        self.failures = 0 if await self._look() else self.failures + 1
        self.looked_up.set()
        interval_s = min(self.followers.values(), default=AGAIN_S)
        if self.failures:
            interval_s = min(interval_s, AGAIN_S * 2 ** min(self.failures - 1, 10))
        # Workers and replicas must not ask in step.
        await asyncio.sleep(interval_s * random.uniform(0.9, 1.0))  # noqa: S311  # not secret

    async def _look(self) -> bool:
        try:
            found = await addresses(self.host)
        except (OSError, UnicodeError) as error:
            self.error = str(error)[:ERROR_TEXT_MAX]
            return False
        self.error = ""
        if set(found) != set(self.addresses):
            self.addresses = found
            for follower in list(self.followers):
                follower()
        return True


class Names:
    """Every name that pools of this process follow. One event loop owns it."""

    def __init__(self) -> None:
        self._names: dict[str, _Name] = {}

    def follow(self, host: str, interval_s: float, follower: Callable[[], None]) -> None:
        """Call ``follower`` whenever the addresses of ``host`` are others, until it leaves."""
        name = self._names.get(host)
        if name is None:
            name = self._names[host] = _Name(host)
        name.followers[follower] = interval_s
        if name.task is None:
            name.task = background("names", name.watch())

    def leave(self, host: str, follower: Callable[[], None]) -> None:
        """The follower is no longer interested."""
        name = self._names.get(host)
        if name is None:
            return
        name.followers.pop(follower, None)
        if not name.followers:
            del self._names[host]
            if name.task is not None:
                name.task.cancel()

    def known(self, host: str) -> tuple[str, ...]:
        """Addresses found last; an address stands for itself; empty: none was found so far."""
        if literal(host):
            return (host,)
        name = self._names.get(host)
        return name.addresses if name is not None else ()

    async def lookup(self, host: str) -> tuple[str, ...]:
        """The addresses, once there was a lookup. Raises OSError when none was found."""
        if found := self.known(host):
            return found
        name = self._names.get(host)
        if name is None:
            return await addresses(host)
        await name.looked_up.wait()
        if not name.addresses:
            raise OSError(name.error)
        return name.addresses
