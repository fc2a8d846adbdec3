"""Who may do what on the admin interface, and who may even ask.

Four questions in this order, each answered before anything of the request is acted upon:

1. *Host*: is the name one this listener goes by? A page of a stranger can have its own DNS name
   point at 127.0.0.1 (DNS rebinding); the browser then sends that name. Addresses cannot be
   rebound, so they pass; other names must be listed.
2. *Origin*: did a page of another site send this? Browsers say so in ``Origin`` and
   ``Sec-Fetch-Site``. There are no cookies to ride on, but on a loopback listener without tokens
   the network position itself is the credential.
3. *Token*: ``Authorization: Bearer ...``, compared in constant time with every known token.
4. *Role*: viewer < operator < admin.

Without tokens, the listener must be on the loopback device and everybody on the machine has
:data:`OPEN_ROLE`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import web

from router.admin.problems import HttpProblem
from router.core.policy.server import Admin, Role, is_loopback, split_address

OPEN_ROLE = Role.ADMIN
"""What everybody on this machine may do while no token is configured: whoever can reach a loopback
listener can, as a rule, also signal the process and read its files."""
LOCAL_ACTOR = "local"
"""The actor in the journal without tokens; what the person calls itself is added to it."""
ACTOR_HEADER = "X-Rampway-Actor"

_ACTOR = re.compile(r"[A-Za-z0-9._@-]{1,64}")

INCLUDES = {
    Role.VIEWER: frozenset({Role.VIEWER}),
    Role.DATA: frozenset({Role.VIEWER, Role.DATA}),
    Role.REVIEWER: frozenset({Role.VIEWER, Role.REVIEWER}),
    Role.OPERATOR: frozenset({Role.VIEWER, Role.OPERATOR}),
    Role.ADMIN: frozenset(Role),
}
"""What a role may do; whoever moves rollouts need not see what people asked."""
PUBLIC = None
"""In place of a role: no token is needed."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking; ``name`` becomes the actor in the journal."""

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether this identity's role includes ``role``."""
        return role in INCLUDES[self.role]


@dataclass(frozen=True, slots=True)
class _Known:
    digest: bytes
    identity: Caller


class Access:
    """The rules of one listener. Replaced as a whole when the policy changes.

    Raises ValueError if ``policy`` would open an interface that others can reach without tokens
    and TLS; the policy loader refuses it first, with a line number.
    """

    def __init__(self, policy: Admin) -> None:
        host, _ = split_address(policy.listen)
        if not is_loopback(host) and not (policy.tokens and policy.tls):
            raise ValueError(f"an admin interface on {host} needs tokens and TLS")
        self._names = frozenset({"localhost", host.lower(), *map(str.lower, policy.hosts)})
        self._known = tuple(
            _Known(_digest(token.token.get_secret_value()), Caller(token.name, token.role))
            for token in policy.tokens
        )

    @property
    def open(self) -> bool:
        """No tokens: everybody on this machine has the open role."""
        return not self._known

    def identify(self, request: web.BaseRequest, needed: Role | None) -> Caller | None:
        """Who asks, once host, origin, token and role are in order; None on public paths.

        Raises:
            Problem: 421 foreign host, 403 foreign origin or role too low, 401 token missing or
                unknown.
        """
        if needed is PUBLIC:
            return None
        self._check_host(request)
        self._check_origin(request)
        identity = self._bearer(request)
        if not identity.may(needed):
            raise HttpProblem(
                403, f"this needs the role {needed}; {identity.name} has the role {identity.role}"
            )
        return identity

    def _check_host(self, request: web.BaseRequest) -> None:
        name = _host_name(request.headers.get("Host", ""))
        if name is None or not (name in self._names or self._is_address(name)):
            raise HttpProblem(
                421, "this listener does not go by that Host; list its names in admin.hosts"
            )

    def _is_address(self, name: str) -> bool:
        """An IP address; without tokens only a loopback one, the sole way to be reached then."""
        try:
            address = ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not self.open

    def _check_origin(self, request: web.BaseRequest) -> None:
        origin = request.headers.get("Origin")
        site = request.headers.get("Sec-Fetch-Site", "none")
        same = origin is None or _netloc(origin) == request.headers.get("Host", "").lower()
        if not same or site not in ("none", "same-origin"):
            raise HttpProblem(403, "requests of pages from another origin are refused")

    def _bearer(self, request: web.BaseRequest) -> Caller:
        if self.open:
            return Caller(_claimed(request.headers.get(ACTOR_HEADER, "")), OPEN_ROLE)
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secret:
            raise _unauthorized("send Authorization: Bearer TOKEN", 'Bearer realm="rampway"')
        identity = _find(self._known, secret.strip())
        if identity is None:
            raise _unauthorized(
                "this token is not known", 'Bearer realm="rampway", error="invalid_token"'
            )
        return identity


def _unauthorized(detail: str, challenge: str) -> HttpProblem:
    """401 with the challenge that RFC 6750 section 3 asks for."""
    return HttpProblem(401, detail, headers={"WWW-Authenticate": challenge})


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def _claimed(name: str) -> str:
    """``local:alice``: whoever is on this machine says so, nobody checked it."""
    return f"{LOCAL_ACTOR}:{name}" if _ACTOR.fullmatch(name) else LOCAL_ACTOR


def _find(known: Iterable[_Known], secret: str) -> Caller | None:
    """Compared as digests, with every one of them, so that time tells neither which nor where."""
    wanted = _digest(secret)
    found: Caller | None = None
    for entry in known:
        if hmac.compare_digest(entry.digest, wanted):
            found = entry.identity
    return found


def _host_name(host: str) -> str | None:
    """The name in a Host field in lower case, without port and brackets; None if malformed."""
    try:
        split = urlsplit(f"//{host}")
        split.port  # noqa: B018 - raises on a port that is no number
    except ValueError:
        return None
    if split.path or split.query or split.fragment or split.username is not None:
        return None
    return split.hostname


def _netloc(origin: str) -> str:
    """Host and port of an Origin in lower case; ``null`` and other schemes have none."""
    try:
        split = urlsplit(origin)
    except ValueError:
        return ""
    return split.netloc.lower() if split.scheme in ("http", "https") else ""
