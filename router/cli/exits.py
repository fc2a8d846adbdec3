"""How the command ends: the exit codes scripts may rely on, and failures that carry one."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every verb."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2  # wrong arguments, an unknown route, an invalid policy
    DEGRADED = 3  # rolled back or aborted
    TIMED_OUT = 4
    CONFLICT = 5  # the rollout moved since it was looked at, or does not allow the command now
    UNREACHABLE = 6
    NOT_PERMITTED = 7


BY_STATUS: Mapping[int, Exit] = {
    400: Exit.USAGE,
    401: Exit.NOT_PERMITTED,
    403: Exit.NOT_PERMITTED,
    404: Exit.USAGE,
    409: Exit.CONFLICT,
    412: Exit.CONFLICT,
    415: Exit.USAGE,
    421: Exit.NOT_PERMITTED,
    422: Exit.USAGE,
    503: Exit.UNREACHABLE,
    504: Exit.TIMED_OUT,
}
"""HTTP status of a refusal -> exit code; others are unexpected."""


class VerbFailed(Exception):  # noqa: N818 - an ending, not always an error
    """Ends the command: one line for stderr, and the exit code."""

    def __init__(self, code: Exit, text: str) -> None:
        super().__init__(text)
        self.code = code
