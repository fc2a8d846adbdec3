"""YAML files to policies: places, problems, expansion, schema, differences.

What is named here is imported when it is asked for: a worker needs the certificates of this package
and none of the policy models, whose import would triple the time until a killed worker is back.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from router.config.check import LoadedPolicy, load, loads
    from router.config.problems import Mark, PolicyError, Problem, Severity, render

__all__ = ["LoadedPolicy", "Mark", "PolicyError", "Problem", "Severity", "load", "loads", "render"]

_CHECK: Final = ("LoadedPolicy", "load", "loads")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "check" if name in _CHECK else "problems"
    return getattr(import_module(f"{__name__}.{home}"), name)
