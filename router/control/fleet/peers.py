"""How a router's admin interface is reached by the others on its database.

The policy says where it listens. Of an address that means all of a machine's, others are told the
one that the machine has towards the database. A loopback address means something within one network
namespace alone, so that has a name.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


def network() -> str:
    """The network namespace of this process, told apart from those of other machines and pods."""
    try:
        kernel = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{kernel}/{Path('/proc/self/ns/net').stat().st_ino}"
    except OSError:
        return socket.gethostname()


def as_others_reach(url: str, local: Any) -> str:
    """``url`` with ``local``, a socket's own name, in place of an address that means all of them.

    Where the socket has no address (it is a file), the name of this machine.
    """
    split = urlsplit(url)
    if not _unspecified(split.hostname or ""):
        return url
    host = str(local[0]) if isinstance(local, tuple) else socket.gethostname()
    shown = f"[{host}]" if ":" in host else host
    return f"{split.scheme}://{shown}:{split.port}"


def _unspecified(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False
