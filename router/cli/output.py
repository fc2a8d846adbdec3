"""The option ``--output``, which every verb has that shows something."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from router.cli.parse import Option


class Output(StrEnum):
    """How results are written."""

    TABLE = "table"
    JSON = "json"


Format = Annotated[Output, Option("table for people, json for programs.", "--output", "-o")]
