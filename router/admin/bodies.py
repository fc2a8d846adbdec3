"""The body of a request to the admin interface, bounded in size and time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from router.admin.problems import HttpProblem

if TYPE_CHECKING:
    from aiohttp import web

BODY_S: Final = 10.0
"""Time for the whole body of an order, a few hundred bytes."""
BODY_BYTES_MAX: Final = 4 * 1024 * 1024
"""10,000 labels with all that they may say, and room."""


async def whole_body(request: web.Request, most: int = BODY_BYTES_MAX) -> bytes:
    """All of it, at most ``most`` bytes within :data:`BODY_S`. Raises HttpProblem (413, 408)."""
    found = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for piece in request.content.iter_any():
                found += piece
                if len(found) > most:
                    raise HttpProblem(413, f"at most {most:,} bytes")
    except TimeoutError:
        raise HttpProblem(408, f"the body did not arrive within {BODY_S:g} s") from None
    return bytes(found)
