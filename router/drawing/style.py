"""The style sheet of the drawings: light and dark, colours of versions and verdicts."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

CSS: Final = files(__package__).joinpath("kit.css").read_text(encoding="utf-8")
"""Custom properties ``--good``, ``--bad``, ``--hold``, ``--v0`` ... and the marks of a plot."""
