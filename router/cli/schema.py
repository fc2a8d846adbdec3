"""``rampway schema``."""

from __future__ import annotations

from router.cli.say import echo
from router.config.extensions import extend
from router.config.schema import text


def run() -> None:
    """The JSON Schema of policies, for completion and checks in editors."""
    extend()
    echo(text(), nl=False)
