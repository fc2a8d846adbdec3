"""Host names of endpoints to addresses that may be connected to.

A policy is checked when it is loaded, but a name can be pointed elsewhere afterwards (DNS
rebinding): to the metadata service of a cloud, for one. So every address is checked again at the
moment of connecting, and the connection goes to the address that was checked.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import TypeVar

from router.core.addresses import refusal

T = TypeVar("T")


async def addresses(host: str, port: int) -> list[str]:
    """Addresses of ``host`` in the resolver's order; an address stands for itself.

    Raises OSError for a name that is not known, or one of whose addresses is refused.
    """
    try:
        ip_address(host)
    except ValueError:
        pass
    else:
        return [host]  # checked with the policy
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    resolved = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in resolved:
        if reason := refusal(ip_address(address.partition("%")[0])):
            raise PermissionError(f"{host} is at {address} now: {reason}")
    return resolved


async def first_reachable(host: str, port: int, opened: Callable[[str], Awaitable[T]]) -> T:
    """What ``opened`` makes of the first address of ``host`` that it can connect to.

    Raises OSError: the last address's, or that of :func:`addresses`.
    """
    failure: OSError | None = None
    for address in await addresses(host, port):
        try:
            return await opened(address)
        except OSError as error:
            failure = error
    raise failure or OSError(f"{host} has no address")
