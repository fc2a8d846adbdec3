"""Waiting in tests that is no hoping."""

import asyncio


async def for_ever():
    """What a backend does that says nothing more: ended with its task."""
    await asyncio.Event().wait()
