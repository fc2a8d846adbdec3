"""Something of every route, as of one moment, without holding the loop while it is put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from router.control.rollouts.run import Run
from router.loops import my_turn

PASSES_MAX: Final = 20
"""Where rollouts move faster than they are read: then what is told is of the last of these."""

_T = TypeVar("_T")


async def gathered(
    runs: Callable[[], Mapping[str, Run]], told: Callable[[Run], _T], a_turn: int
) -> dict[str, _T]:
    """``told`` of each route, by name, ``a_turn`` of them in one turn of the loop.

    Rollouts that moved meanwhile are told again, until none has: so shares, phases and revisions
    belong together, as if all had been read at once.
    """
    known: dict[str, tuple[int, _T]] = {}
    for _ in range(PASSES_MAX):
        left = [run for name, run in runs().items() if _moved(run, known.get(name))]
        if not left:
            break
        for number, run in enumerate(left):
            if not number % a_turn:
                await my_turn()
            known[run.route.name] = run.record.revision, told(run)
    return {name: known[name][1] for name in runs() if name in known}


def _moved(run: Run, known: tuple[int, object] | None) -> bool:
    return known is None or known[0] != run.record.revision
