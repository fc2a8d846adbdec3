"""Where questions for people are kept that go with a store."""

from __future__ import annotations

from pathlib import Path

from router.control.reviews.questions import FileQuestions, KeptQuestions
from router.control.state.places import shared


def kept_questions(store: str, file: Path) -> KeptQuestions:
    """Where they are kept that go with this store: in its database, or in ``file``."""
    if not shared(store):
        return FileQuestions(file)
    from router.control.reviews.postgres_questions import (  # noqa: PLC0415 - of an extra
        SharedQuestions,
    )

    return SharedQuestions(store)
