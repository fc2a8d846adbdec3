"""Which requests belong to a route."""

import re
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StrictStr, model_validator

from router.core.expressions import whole
from router.core.quantities import Formed, Text
from router.core.spec import ShortFor, Spec
from router.core.urls import HeaderName


def _glob(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError(f"expected a path that begins with /, got {path!r}")
    if "*" in path[:-1] or "?" in path or "#" in path:
        raise ValueError(f"expected an exact path or one * at its end, got {path!r}")
    return path


def _host(host: str) -> str:
    bare = host.removeprefix("*.")
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]*)(\.[a-z0-9-]+)*", bare):
        raise ValueError(
            f"expected a lower-case host such as api.example.org or *.example.org, got {host!r}"
        )
    return host


PathGlob = Annotated[StrictStr, AfterValidator(_glob)]
"""An exact path, or a prefix when it ends in ``*``."""

HostGlob = Annotated[StrictStr, AfterValidator(_host)]
"""A lower-case host without a port; ``*.example.org`` covers every host below example.org."""

Method = Annotated[StrictStr, Formed(r"^[A-Z]{3,16}$", "an upper-case method such as POST")]
"""An upper-case method."""

JsonPath = Annotated[
    StrictStr,
    Formed(r"^(?!.{201})[^.\s]+(\.[^.\s]+)*$", "a dotted path such as user.id"),
]
"""Dotted path of a field of a JSON body, such as user.id or instances.0.user."""


class ValueMatch(Spec):
    """What a header, query parameter or cookie must look like; exactly one way is given."""

    exact: Text | None = None
    """The whole value, with case."""
    prefix: Text | None = None
    """How the value begins."""
    suffix: Text | None = None
    """How the value ends."""
    regex: Annotated[Text, Field(max_length=200)] | None = None
    """An expression of RE2 for the whole value; one beyond 4,096 characters never matches."""
    present: Literal[True] | None = None
    """true: any value will do."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                "expected exactly one of exact, prefix, suffix, regex, present, "
                f"got {', '.join(given) or 'none'}"
            )
        if self.regex is not None:
            try:
                whole(self.regex)
            except ValueError as error:
                raise ValueError(
                    f"expected an expression that RE2 can run, got {self.regex!r}: {error}"
                ) from error
        return self


Values = Annotated[ValueMatch, ShortFor("exact")]
"""``X-Tenant: acme`` is short for ``X-Tenant: {exact: acme}``."""


class Match(Spec):
    """Conditions of a route. All that are given must hold; none given matches every request.

    Routes are tried in the order of the file and the first that matches takes the request.
    """

    host: HostGlob | None = None
    """Host of the request without port; `*.example.org` covers all hosts below it."""
    path: PathGlob | None = None
    """Exact path, or every path below when it ends in `*`."""
    methods: tuple[Method, ...] = ()
    """Upper-case methods; absent means all."""
    headers: dict[HeaderName, Values] = Field(default_factory=dict, max_length=16)
    """Header conditions, on the first line of that name: a value, or one of exact, prefix, suffix,
    regex, present."""
    query: dict[Text, Values] = Field(default_factory=dict, max_length=16)
    """Query parameter conditions, on the first value of the parameter."""
    cookies: dict[HeaderName, Values] = Field(default_factory=dict, max_length=16)
    """Cookie conditions, on the first cookie of that name."""
    body: dict[JsonPath, Values] = Field(default_factory=dict, max_length=16)
    """Conditions on fields of a JSON body by dotted path; the body must fit the route's buffer."""

    def covers_path(self, other: str) -> bool:
        """Whether every path that the glob `other` stands for matches this one's path too."""
        if self.path is None:
            return True
        if self.path.endswith("*"):
            return other.removesuffix("*").startswith(self.path[:-1])
        return other == self.path

    def wider_paths(self) -> Iterator[str]:
        """Every glob that covers this one's path: few, however many routes there are."""
        path = self.path if self.path is not None else "*"
        stem = path.removesuffix("*")
        yield from (f"{stem[:length]}*" for length in range(len(stem) + 1))
        if stem == path:
            yield path

    def covers_host(self, other: str | None) -> bool:
        """Whether every host that `other` stands for matches this one's host too."""
        if self.host is None or self.host == other:
            return True
        return other is not None and self.host.startswith("*.") and other.endswith(self.host[1:])


class FallbackKey(Spec):
    """What a table is asked with; exactly one way is given."""

    header: HeaderName | None = None
    """Header whose value is the key."""
    json_path: JsonPath | None = Field(default=None, alias="json")
    """Dotted path of a field of a JSON body; the body must fit the route's buffer."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.header is None) == (self.json_path is None):
            raise ValueError("expected exactly one of header, json")
        return self
