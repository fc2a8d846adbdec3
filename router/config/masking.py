"""A policy's text as others may see it: whole and broken files alike, so line by line.

What comes from elsewhere (``${NAME}``, ``${file:...}``) is no secret and stays. In doubt a value is
hidden: everything under ``headers``, every address of an alert or a hook.
"""

from __future__ import annotations

import re
from typing import Final

HIDDEN: Final = "***"

_KEYS: Final = r"token|secret|salt|password|authorization|cookie|url|[\w-]*(?:api[-_]?key|secret)"
_KEY: Final = re.compile(
    rf"""(?P<key>(?<![\w-])["']?(?:{_KEYS})["']?\s*:\s+)(?P<value>\S.*)$""", re.IGNORECASE
)
_OPENING: Final = re.compile(
    rf"""(?<![\w-])["']?(?:{_KEYS})["']?\s*:\s*[|>]?[-+\d]*\s*$""", re.IGNORECASE
)
_HEADERS: Final = re.compile(r"""^(?P<indent>[ ]*(?:-[ ]+)?)["']?headers["']?\s*:(?P<rest>.*)$""")
_VALUE: Final = re.compile(r"(?P<key>^[^:]*:\s+|^\s*-\s+|^\s*)(?P<value>\S.*)$")
_IN_URL: Final = re.compile(
    r"""(?P<key>://[^\s/"':@]*:)(?!\$\{)[^\s/"'@]+(?=@)|(?P<also>[?&]password=)(?!\$\{)[^\s"'&]+"""
)
"""A password in a URL, wherever one stands."""
_ELSEWHERE: Final = re.compile(r"""["']?\$\{(?![^}]*:-)[^}]*\}["']?\s*\Z""")


def without_secrets(text: str) -> str:
    """``text`` with :data:`HIDDEN` where a secret may stand; the number of lines stays."""
    shown: list[str] = []
    below: int | None = None
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip(" "))
        if below is not None and line.strip() and indent <= below:
            below = None
        if below is not None:
            shown.append(_VALUE.sub(_hidden, line))
            continue
        if found := _HEADERS.match(line):
            below = len(found["indent"]) if not found["rest"].strip() else None
            rest = found["rest"]
            shown.append(line[: -len(rest)] + f" {HIDDEN}" if rest.strip() else line)
            continue
        masked = without_passwords(_KEY.sub(_hidden, line))
        if _opens_block(line):
            below = indent
        shown.append(masked)
    return "\n".join(shown) + ("\n" if text.endswith("\n") else "")


def without_passwords(line: str) -> str:
    """The line without the passwords of URLs in it."""
    return _IN_URL.sub(lambda found: (found["key"] or found["also"]) + HIDDEN, line)


def _hidden(found: re.Match[str]) -> str:
    value = found["value"]
    return found["key"] + (value if _ELSEWHERE.match(value) else HIDDEN)


def _opens_block(line: str) -> bool:
    """Whether a secret's value stands on the lines below."""
    return bool(_OPENING.search(line))
