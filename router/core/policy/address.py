"""URLs that the router calls by itself: hooks, alerts, registries."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field, SecretStr, StrictStr

from router.core.policy.endpoint import checked_host

URL_CHARS_MAX: Final = 2_048

URL_PATTERN: Final = r"^https?://[^/?#@\s]+(/[^\s]*)?$"
_URL: Final = re.compile(
    r"https?://(?P<host>\[[0-9A-Fa-f:.]+\]|[^/?#@:\[\]\s]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<rest>[/?][\x21-\x7e]*)?\Z"
)


def checked_url(url: str) -> str:
    """``url`` itself. Raises ValueError for one that the router must not call.

    The rules of endpoints hold: no link-local address and no metadata service of a cloud. Names are
    checked again for every address that they resolve to. The text is not repeated in messages,
    since the address of a chat's hook is a secret.
    """
    if len(url) > URL_CHARS_MAX:
        raise ValueError(f"expected a URL of at most {URL_CHARS_MAX} characters")
    if "@" in url.partition("://")[2].partition("/")[0]:
        raise ValueError("expected a URL without user name and password; use headers")
    match = _URL.match(url)
    if match is None or not 1 <= int(match["port"] or 80) <= 65_535 or "#" in url:
        raise ValueError("expected a URL such as https://hooks.example.org/rollouts")
    try:
        checked_host(match["host"])
    except ValueError as error:  # the words of endpoints
        raise ValueError(str(error).replace("a prediction service", "a service")) from None
    return url


def _secret(url: SecretStr) -> SecretStr:
    checked_url(url.get_secret_value())
    return url


Url = Annotated[
    StrictStr,
    AfterValidator(checked_url),
    Field(examples=["http://127.0.0.1:7000/confirm"], json_schema_extra={"pattern": URL_PATTERN}),
]
"""An http or https URL that the router may call."""

SecretUrl = Annotated[
    SecretStr,
    AfterValidator(_secret),
    Field(examples=["${file:/run/secrets/slack-url}"]),
]
"""The same where knowing it is enough to use it; never shown, logged or stored."""
