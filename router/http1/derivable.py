"""Compiled classes from which interpreted ones derive, as tests and a few others do.

Calls of a method that such a class declares are compiled as long as who is called is compiled too.
Without a compiler the decorator does nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_extensions import mypyc_attr
else:

    def mypyc_attr(**_told: bool) -> Callable[[type], type]:
        """What the compiler reads, see its manual; nobody else has a use for it."""
        return lambda derivable: derivable


__all__ = ["mypyc_attr"]
