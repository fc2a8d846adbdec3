"""The event log: one JSON object a line on standard error, or coloured lines on a terminal.

Events only, never a line per request (that is the access log's, and off by default). Control
characters cannot get through: whatever a client sent, a line stays one line and moves no cursor.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any, Final, TextIO, cast

from router.loops import places_of


@contextmanager
def _hidden(package: str) -> Iterator[None]:
    """Python behaves as if ``package`` were not installed, unless it is in use already."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = cast("ModuleType", None)  # what the import system documents for this
    try:
        yield
    finally:
        del sys.modules[package]


# structlog imports rich where it finds it, for tracebacks that we never draw: 40 ms and 3 MB.
with _hidden("rich"):
    import structlog

get_logger: Final = structlog.get_logger
"""A logger by name. Whoever logs takes it from here, so that structlog comes without rich."""

REDACTED: Final = "[redacted]"

SECRET_KEYS: Final = re.compile(
    r"authorization|cookie|token|secret|password|passwd|api[-_]?key|credential|private",
    re.IGNORECASE,
)
"""A value under such a key is never written."""

SECRET_TEXT: Final = re.compile(
    r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]+"
    r"|([?&](?:access_token|token|key|api_key|apikey|secret|password|signature|sig)=)[^&\s\"']+"
    r"|(://[^/\s:@]+:)[^@/\s]+(?=@)"
)
"""Secrets inside of a text: authorization values, query parameters, passwords of URLs."""

VALUE_CHARS_MAX: Final = 4_096
DEPTH_MAX: Final = 6

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""C0, DEL, C1, line separators, and the marks that turn the direction of writing."""


def configure(
    *, level: int = logging.INFO, stream: TextIO | None = None, json: bool | None = None
) -> None:
    """Set the log up once, at the start. ``json`` None: JSON unless ``stream`` is a terminal."""
    out = cast("TextIO", Unfailing(stream or sys.stderr))
    as_json = not out.isatty() if json is None else json
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=True)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            raised,
            clean,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )


class Unfailing:
    """A stream whose failures are nobody's: a full disk under the log must not stop a rollback.

    What cannot be written is lost.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def isatty(self) -> bool:
        """Whether somebody watches."""
        return self._stream.isatty()

    def write(self, text: str) -> int:
        """Try to."""
        try:
            return self._stream.write(text)
        except (OSError, ValueError):  # ValueError: the stream was closed
            return len(text)

    def flush(self) -> None:
        """Try to."""
        with suppress(OSError, ValueError):
            self._stream.flush()


def raised(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """What was raised, and where, in place of ``exc_info``; see ``places_of`` for what it costs."""
    told = event.pop("exc_info", None)
    error = told if isinstance(told, BaseException) else sys.exception() if told else None
    if error is not None:
        event["error"] = f"{type(error).__name__}: {error}"
        event["stack"] = places_of(error)
        if (cause := error.__cause__ or error.__context__) is not None:
            event["after"] = f"{type(cause).__name__}: {cause}"
    return event


def clean(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Redact and escape every value of an event, however deep."""
    return {_escaped(str(key)): _clean(str(key), value, 0) for key, value in event.items()}


def _clean(key: str, value: Any, depth: int) -> Any:
    if SECRET_KEYS.search(key):
        return REDACTED
    if isinstance(value, bool | int | float) or value is None:
        return value
    if isinstance(value, Mapping) and depth < DEPTH_MAX:
        return {_escaped(str(k)): _clean(str(k), v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth < DEPTH_MAX:
        return [_clean("", item, depth + 1) for item in value]
    return text(value.decode("latin-1") if isinstance(value, bytes) else str(value))


def text(value: str) -> str:
    """A text that is safe to write: short, on one line, without secrets."""
    cut = value if len(value) <= VALUE_CHARS_MAX else value[:VALUE_CHARS_MAX] + "..."
    return _escaped(SECRET_TEXT.sub(_redacted, cut))


def _redacted(match: re.Match[str]) -> str:
    kept: str = match[1] + " " if match[1] else match[2] or match[3] or ""
    return kept + REDACTED


def _escaped(value: str) -> str:
    return _CONTROL.sub(lambda m: f"\\u{ord(m[0]):04x}", value)
