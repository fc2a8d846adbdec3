"""Plain values to a policy."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from router.config.problems import PolicyError
from router.config.source import Document
from router.core.policy import Policy
from router.core.quantities import shown


def decode(document: Document, model: type[BaseModel] = Policy) -> Any:
    """The `model` in the document. Raises PolicyError with every problem of the values."""
    if not isinstance(document.value, dict):
        message = (
            f"expected a mapping with keys such as listen and routes, got {shown(document.value)}"
        )
        hint = "begin with routes: in a line of its own; configs/ has examples"
        raise PolicyError([document.problem((), message, hint)])
    try:
        return model.model_validate(document.value)
    except ValidationError as error:
        from router.config.refused import problems  # noqa: PLC0415 - a good policy needs no words

        raise PolicyError(problems(document, error)) from None
