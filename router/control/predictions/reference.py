"""A reference file, read in a process of its own (:mod:`router.reader.reference`)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Sequence
from typing import Final

from router.core.monitors.profile import Profile

READ_WITHIN_S: Final = 300.0
"""Some 20 million values."""


async def profiles(file: str, features: Sequence[tuple[str, str]]) -> dict[str, Profile]:
    """The profiles of a file's columns. Raises ValueError with a sentence for people."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "router.reader.reference", file,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(READ_WITHIN_S):
            said, _ = await process.communicate(json.dumps(list(features)).encode())
    except TimeoutError:
        raise ValueError(f"{file}: was not read within {READ_WITHIN_S:.0f} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if not said:
        raise ValueError(f"{file}: its reader ended with {process.returncode} (too large?)")
    return await asyncio.to_thread(_profiles, said, file)


def _profiles(said: bytes, file: str) -> dict[str, Profile]:
    """What the process said; some megabytes of JSON with many features."""
    try:
        told = json.loads(said)
        if "error" in told:
            raise ValueError(told["error"])
        return {name: Profile.from_json(one) for name, one in told["profiles"].items()}
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{file}: its reader said nothing of use ({error!r:.100})") from None
