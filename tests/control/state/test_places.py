"""Which store a policy names; a database's own tests are in tests/fleet."""

import sys

import pytest

from router.control.state.errors import StoreDamaged
from router.control.state.places import local_path, looked_at, shared, shared_store

URL = "postgresql://rampway:secret@db/rampway"
MISSING = (
    "store: postgresql://rampway@db/rampway: a store in PostgreSQL needs asyncpg: "
    "pip install 'rampway[postgres]'"
)


@pytest.mark.parametrize(("url", "listen", "path"), [
    ("sqlite:////var/lib/r.db", "0.0.0.0:80", "/var/lib/r.db"),
    ("sqlite:///r.db", "0.0.0.0:80", "r.db"),
    (URL, "0.0.0.0:80", "rampway-0.0.0.0-80"),
    (URL, "[::1]:80", "rampway-[--1]-80"),
])  # fmt: skip
def test_the_files_of_this_machine_have_a_place(url, listen, path):
    assert str(local_path(url, listen)) == path
    assert shared(url) is url.startswith("postgresql")


@pytest.fixture
def without_driver(monkeypatch):
    for name in [one for one in sys.modules if one.startswith("router.control.state.postgres")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "asyncpg", None)


def test_a_router_without_the_driver_says_what_to_install(without_driver):
    with pytest.raises(StoreDamaged) as told:
        shared_store(URL)
    assert str(told.value).startswith(MISSING)


async def test_so_does_the_doctor(without_driver):
    with pytest.raises(StoreDamaged) as told:
        await looked_at(URL)
    assert str(told.value).startswith(MISSING)
