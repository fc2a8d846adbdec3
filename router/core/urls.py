"""Addresses of others in a policy: hosts, and URLs that the router calls by itself.

One type for every such URL (hooks, alerts, registries, gates that ask outside): the rules of
endpoints hold, credentials have no place in it, and the connector checks the address once more for
what a name leads to and for literals alike (``router.control.outside.outside``).
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated, Final

from pydantic import AfterValidator, Field, SecretStr, StrictStr

from router.core.addresses import refusal
from router.core.quantities import Formed, shown

URL_CHARS_MAX: Final = 2_048

URL_PATTERN: Final = r"^https?://[^/?#@\s]+(/[^\s]*)?$"
_URL: Final = re.compile(
    r"https?://(?P<host>\[[0-9A-Fa-f:.]+\]|[^/?#@:\[\]\s]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<rest>[/?][\x21-\x7e]*)?\Z"
)


_HOST_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*\Z"
)
_NUMERIC_LABEL: Final = re.compile(r"(0[xX][0-9A-Fa-f]*|[0-9]+)\Z")

METADATA_HOSTS: Final = frozenset({"metadata", "metadata.google.internal", "instance-data"})
"""Names under which clouds serve credentials."""

HeaderName = Annotated[
    StrictStr,
    Formed(r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$", "a field name such as X-User-Id"),
]
"""A field name as RFC 9110 section 5.1 allows; compared without case."""

Headers = Annotated[dict[HeaderName, SecretStr], Field(max_length=16)]
"""Header fields by name; values are secrets: write ${file:...} or ${NAME}."""


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


def checked_host(host: str) -> str:
    """``host`` itself, a name or an address that may be connected to. Raises ValueError."""
    if host.startswith("["):
        return _checked_address(host[1:-1])
    if _NUMERIC_LABEL.match(host.rpartition(".")[2]):
        return _checked_address(host)
    if not _HOST_NAME.match(host):
        raise ValueError(f"expected a host name or an IP address, got {shown(host)}")
    if host.lower().rstrip(".") in METADATA_HOSTS:
        raise ValueError(f"expected a prediction service, got the metadata host {host}")
    return host


def _checked_address(text: str) -> str:
    try:
        address = ip_address(text)
    except ValueError:
        raise ValueError(
            f"expected a plain IP address such as 127.0.0.1, got {shown(text)}"
        ) from None
    if str(address) != text:
        raise ValueError(f"expected the plain spelling {address}, got {shown(text)}")
    if reason := refusal(address):
        raise ValueError(f"expected the address of a prediction service, got {text}: {reason}")
    return text


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
