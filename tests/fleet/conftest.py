"""A PostgreSQL server of its own for the tests of each module, and a schema for each test."""

import uuid

import pytest

from tests.postgres_server import server_or_skip
from tests.reliability.whole import both, nursery, services  # noqa: F401 - fixtures


@pytest.fixture(scope="module")
def server():
    """One that may be stopped, as long as it is started again."""
    made = server_or_skip()
    yield made
    made.end()


@pytest.fixture
def url(server):
    """Of a schema of its own."""
    name = f"store_{uuid.uuid4().hex}"
    server.sql(f"CREATE SCHEMA {name}")
    return f"{server.url}?options=-csearch_path%3D{name}"
