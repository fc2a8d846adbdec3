"""Which store a policy names, and where the files of this machine lie that go with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from router.control.state.errors import StoreDamaged
from router.control.state.store import Store
from router.core.databases import POSTGRES_STORE, POSTGRES_URLS, named


def shared(url: str) -> bool:
    """Whether the store is a database, which several machines may reach."""
    return url.startswith(POSTGRES_URLS)


def local_path(url: str, listen: str) -> Path:
    """The file of ``sqlite:///FILE``, relative to the working directory; others lie beside it.

    Beside a database lie none: those files are named by the address for clients, which one router
    of a machine has.
    """
    if shared(url):
        return Path(f"rampway-{listen.replace(':', '-')}")
    return Path(url.removeprefix("sqlite:///"))


def shared_store(url: str) -> Store:
    """The store in that database. Raises StoreDamaged where its driver is not installed."""
    with installed(url):
        from router.control.state.postgres import PostgresStore  # noqa: PLC0415 - of an extra
    return PostgresStore(url)


async def looked_at(url: str) -> str:
    """What a start would find in that database; it changes nothing. Raises StoreDamaged."""
    with installed(url):
        from router.control.state.postgres_look import look  # noqa: PLC0415 - of an extra
    return await look(url)


@contextmanager
def installed(url: str) -> Iterator[None]:
    """What is imported within is of an extra. Raises StoreDamaged where that is not there."""
    try:
        yield
    except ImportError as error:
        raise StoreDamaged(f"store: {named(url)}: {POSTGRES_STORE} ({error})") from None
