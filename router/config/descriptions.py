"""What a policy's fields mean: the docstrings below them, read when somebody asks.

Pydantic could read them into every model as it is made, which took a fifth of a router's start-up
for texts that only editors and the reference show.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache
from itertools import pairwise

from router.core.spec import Spec


@cache
def descriptions(model: type[Spec]) -> dict[str, str]:
    """The docstring of each field by its name, inherited ones included."""
    found: dict[str, str] = {}
    for cls in reversed(model.__mro__):
        if issubclass(cls, Spec):
            found.update(_own(cls))
    return {name: text for name, text in found.items() if name in model.model_fields}


def _own(cls: type[Spec]) -> dict[str, str]:
    """Those that stand in the class itself; none where its source is not at hand."""
    try:
        source = inspect.getsource(cls)
    except OSError:
        return {}
    made = ast.parse(textwrap.dedent(source)).body[0]
    assert isinstance(made, ast.ClassDef)  # noqa: S101 - what inspect promises
    return {
        field.target.id: inspect.cleandoc(below.value.value)
        for field, below in pairwise(made.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }
