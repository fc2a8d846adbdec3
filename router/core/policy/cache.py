"""A response cache: the same question to the same version is asked once."""

from typing import Annotated, Literal

from pydantic import Field

from router.core.quantities import Bytes, Seconds
from router.core.spec import Spec
from router.core.urls import HeaderName


class CachePolicy(Spec):
    """Answers that are given again, each by the version that made it.

    Kept are answers 200 without Set-Cookie, Cache-Control: no-store or private, and with no Vary
    beyond `vary`. Requests with a credential, a Range or Cache-Control: no-cache pass.
    """

    ttl: Annotated[Seconds, Field(gt=0, le=86_400)] = 60.0
    """How long an answer is given again."""
    size: Annotated[Bytes, Field(ge=64 * 1024)] = 64 * 1024 * 1024
    """Bytes of answers in each worker; beyond it those that nobody asked for longest go."""
    answer: Annotated[Bytes, Field(ge=1)] = 256 * 1024
    """Largest answer that is kept."""
    vary: Annotated[tuple[HeaderName, ...], Field(max_length=16)] = ()
    """Request headers that answers depend on. Method, path, query, host, body, Accept,
    Accept-Encoding, Content-Type and Content-Encoding always tell questions apart."""
    methods: Annotated[tuple[Literal["GET", "POST"], ...], Field(min_length=1)] = ("GET", "POST")
    """Methods that may be answered so."""
