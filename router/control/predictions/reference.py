"""A reference file, read in a process of its own (:mod:`router.reader.reference`)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from router.core.monitors.profile import Profile

READ_WITHIN_S: Final = 300.0
"""Some 20 million values."""


Profiles = dict[str, Profile]
"""By feature."""


async def profiles(
    file: str, features: Sequence[tuple[str, str]], by: str = "", segments: int = 0
) -> tuple[Profiles, dict[str, Profiles]]:
    """The profiles of a file's columns, of all rows and of each segment (``by``).

    Raises ValueError with a sentence for people.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "router.reader.reference", file,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(READ_WITHIN_S):
            asked = {"features": list(features), "by": by, "segments": segments}
            said, _ = await process.communicate(json.dumps(asked).encode())
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


def _profiles(said: bytes, file: str) -> tuple[Profiles, dict[str, Profiles]]:
    """What the process said; some megabytes of JSON with many features."""
    try:
        told = json.loads(said)
        if "error" in told:
            raise ValueError(told["error"])
        return _read(told["profiles"]), {n: _read(one) for n, one in told["parts"].items()}
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{file}: its reader said nothing of use ({error!r:.100})") from None


def _read(told: Mapping[str, Any]) -> Profiles:
    return {name: Profile.from_json(one) for name, one in told.items()}
