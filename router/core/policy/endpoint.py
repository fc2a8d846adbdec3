"""Where a version answers, and which addresses a policy may not name.

A router that forwards wherever a file says is a way into the network behind it (server-side request
forgery). So an endpoint is exactly ``http(s)://host:port``, an IP address has exactly one accepted
spelling (``0x7f.1`` and ``2130706433`` are refused: two parsers may read them as two hosts), and
link-local and metadata addresses are refused, by name here and again when a name is resolved.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from router.core.quantities import shown
from router.core.urls import checked_host
from router.core.wire.endpoint import EndpointEntry

ENDPOINT_PATTERN: Final = r"^https?://[^/?#@\s]+:[0-9]{1,5}$"
_ENDPOINT: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Za-z:.%]+\]|[^/?#@:\[\]\s]+)(?::(?P<port>[0-9]{1,5}))?(?P<rest>.*)\Z"
)


def parse_endpoint(text: object) -> EndpointEntry:
    """The endpoint written ``http://host:port``. Raises ValueError saying what else was found."""
    if isinstance(text, EndpointEntry):
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
    return EndpointEntry(
        checked_host(match["host"]), int(match["port"]), match["scheme"] == "https"
    )


EndpointUrl = Annotated[
    EndpointEntry,
    PlainValidator(parse_endpoint),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        {"type": "string", "pattern": ENDPOINT_PATTERN, "examples": ["http://127.0.0.1:9001"]}
    ),
]
"""``http://host:port`` in YAML, an :class:`EndpointEntry` here."""
