"""Where a version answers, and which addresses a policy may not name.

A router that forwards wherever a file says is a way into the network behind it (server-side request
forgery). So an endpoint is exactly ``http(s)://host:port``, an IP address has exactly one accepted
spelling (``0x7f.1`` and ``2130706433`` are refused: two parsers may read them as two hosts), and
link-local and metadata addresses are refused, by name here and again when a name is resolved.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated, Final

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from router.core.addresses import refusal
from router.core.quantities import shown
from router.core.wire.table import Endpoint

ENDPOINT_PATTERN: Final = r"^https?://[^/?#@\s]+:[0-9]{1,5}$"
_ENDPOINT: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Za-z:.%]+\]|[^/?#@:\[\]\s]+)(?::(?P<port>[0-9]{1,5}))?(?P<rest>.*)\Z"
)
_HOST_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*\Z"
)
_NUMERIC_LABEL: Final = re.compile(r"(0[xX][0-9A-Fa-f]*|[0-9]+)\Z")

METADATA_HOSTS: Final = frozenset({"metadata", "metadata.google.internal", "instance-data"})
"""Names under which clouds serve credentials."""


def parse_endpoint(text: object) -> Endpoint:
    """The endpoint written ``http://host:port``. Raises ValueError saying what else was found."""
    if isinstance(text, Endpoint):
        return text
    if not isinstance(text, str):
        raise ValueError(f"expected an endpoint such as http://127.0.0.1:9001, got {shown(text)}")  # noqa: TRY004 - pydantic collects ValueErrors
    if "@" in text:
        raise ValueError("expected an endpoint without user name and password, got one with @")
    match = _ENDPOINT.match(text)
    if match is None:
        raise ValueError(f"expected an endpoint such as http://127.0.0.1:9001, got {shown(text)}")
    if match["rest"]:
        raise ValueError(
            f"expected an endpoint without path, query and fragment, got {shown(text)}. "
            "The path of the request is forwarded as it is"
        )
    if match["port"] is None or not 1 <= int(match["port"]) <= 65_535:
        raise ValueError(f"expected an endpoint with a port from 1 to 65535, got {shown(text)}")
    return Endpoint(checked_host(match["host"]), int(match["port"]), match["scheme"] == "https")


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


EndpointUrl = Annotated[
    Endpoint,
    PlainValidator(parse_endpoint),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        {"type": "string", "pattern": ENDPOINT_PATTERN, "examples": ["http://127.0.0.1:9001"]}
    ),
]
"""``http://host:port`` in YAML, an :class:`Endpoint` here."""
