"""Time windows as a policy writes them; :mod:`router.core.rollout.windows` says what they mean."""

from __future__ import annotations

from typing import Annotated

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from router.core.rollout.windows import WINDOW_PATTERN, Window


def _window(value: object) -> Window:
    return value if isinstance(value, Window) else Window.parse(value)


TimeWindow = Annotated[
    Window,
    PlainValidator(_window),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": WINDOW_PATTERN,
            "examples": ["mon-fri 09:00-17:00 Europe/Berlin"],
        }
    ),
]
"""``mon-fri 09:00-17:00 Europe/Berlin`` in YAML, a :class:`Window` here."""
