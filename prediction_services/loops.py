"""Which event loop to run on: uvloop when the extra `speed` is installed, else asyncio's own."""

import asyncio
from collections.abc import Callable


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """For `asyncio.Runner`; None stands for asyncio's own loop."""
    try:
        import uvloop  # noqa: PLC0415 - an extra; asyncio's own loop serves as well
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
