"""The loop that workers run on; the standard one where a test asks for both."""

import asyncio

import pytest


@pytest.fixture
def event_loop_policy(request):
    """uvloop when it is installed, unless the test is marked or parametrized otherwise."""
    if getattr(request, "param", "uvloop") == "asyncio":
        return asyncio.DefaultEventLoopPolicy()
    uvloop = pytest.importorskip("uvloop")
    return uvloop.EventLoopPolicy()
