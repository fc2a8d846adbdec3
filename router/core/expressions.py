r"""Regular expressions of a policy, matched in time linear in the text, whatever they say.

A backtracking matcher takes exponential time for ``([a-z]+)+-x`` against 40 letters and cubic time
for ``(.*)-(.*)-(.*)x`` against a header of dashes, in the loop that serves everybody. RE2 (R. Cox,
"Regular Expression Matching in the Wild", 2010) runs automata instead, as Envoy does for the same
purpose. What an automaton cannot run, look-around and back references, is refused where it is
written. The syntax is RE2's: ``\d`` and ``\w`` are ASCII, the end of a text is ``\z``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

MEMORY_BYTES_MAX: Final = 1 << 20
"""Of one expression, compiled and at work; a larger one is refused."""


def whole(expression: str) -> Callable[[str], bool]:
    """A test whether all of a text matches. Raises ValueError for what cannot be run.

    Importing RE2 costs 4 MB, so it is done where an expression is.
    """
    import re2  # noqa: PLC0415 - see above

    options = re2.Options()
    options.log_errors = False
    options.max_mem = MEMORY_BYTES_MAX
    try:
        pattern = re2.compile(expression, options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        why = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise ValueError(why) from None
    return lambda text: pattern.fullmatch(text) is not None
