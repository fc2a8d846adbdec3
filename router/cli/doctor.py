"""``rampway doctor``: what would keep a router from working well on this machine."""

from __future__ import annotations

import asyncio
import http.client
import os
import resource
import socket
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from router.cli.exits import Exit, VerbFailed
from router.cli.options import DEFAULT_ADMIN, AdminLink
from router.cli.output import Format, Output
from router.cli.parse import Argument
from router.cli.say import echo
from router.cli.show import columns, emit
from router.config.check import load
from router.config.named_files import servable
from router.config.problems import PolicyError
from router.control.state.errors import StoreDamaged
from router.control.state.places import looked_at, shared
from router.control.told.answers import HealthView
from router.core.gates import GateContext, Measurement
from router.core.gates.prometheus import Prometheus
from router.core.policy import Policy, split_address

DESCRIPTORS_MIN = 4_096
"""Open files a router should be allowed: a client and an upstream connection for each request."""
CONNECT_S = 1.0

GOOD, DOUBTFUL, BAD = "ok", "warning", "FAIL"


@dataclass(frozen=True, slots=True)
class Symptom:
    """One thing that was looked at."""

    verdict: str
    subject: str
    text: str


def run(
    link: AdminLink,
    policy: Annotated[
        Path | None, Argument("Policy file; absent: only machine and running router.")
    ] = None,
    output: Format = Output.TABLE,
) -> None:
    """Look at the machine, a policy (ports, endpoints, probes, store, queries), and the router.

    With a policy the router is looked for where the policy has it listen.
    """
    findings = [*_machine(), *(_with_policy(link, policy) if policy else _router(link))]
    if output is Output.JSON:
        emit([asdict(finding) for finding in findings])
    else:
        rows = [(finding.verdict, finding.subject, finding.text) for finding in findings]
        echo(columns(("", "WHAT", "FOUND"), rows))
    if any(finding.verdict == BAD for finding in findings):
        raise VerbFailed(Exit.UNEXPECTED, "")


def _machine() -> Iterator[Symptom]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Symptom(GOOD if sys.version_info >= (3, 11) else BAD, "python", version)
    fast = find_spec("uvloop") is not None
    hint = "installed" if fast else "not installed; `pip install rampway[speed]` saves CPU"
    yield Symptom(GOOD if fast else DOUBTFUL, "uvloop", hint)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = soft >= DESCRIPTORS_MIN
    advice = f"{soft}" if enough else f"{soft}; raise it to {DESCRIPTORS_MIN} (ulimit -n)"
    yield Symptom(GOOD if enough else DOUBTFUL, "open files", advice)


def _with_policy(link: AdminLink, path: Path) -> Iterator[Symptom]:
    try:
        loaded = servable(load(path))
    except PolicyError as error:
        yield Symptom(BAD, str(path), f"{len(error.problems)} problems; `rampway check {path}`")
        yield from _router(link)
        return
    policy, doubtful = loaded.policy, len(loaded.warnings)
    yield Symptom(DOUBTFUL if doubtful else GOOD, str(path), f"{doubtful} warnings")
    if link.admin == DEFAULT_ADMIN:
        link = replace(link, admin=_admin_url(policy))
    running = list(_router(link))
    serves = any(finding.verdict != DOUBTFUL for finding in running)
    yield from _ports(policy, serves=serves)
    yield _store(policy)
    yield from _endpoints(policy)
    yield from _probes(policy)
    yield from _queries(policy)
    yield from running


def _admin_url(policy: Policy) -> str:
    scheme = "https" if policy.admin.tls is not None else "http"
    host, port = split_address(policy.admin.listen)
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"{scheme}://{f'[{reached}]' if ':' in reached else reached}:{port}"


def _ports(policy: Policy, *, serves: bool) -> Iterator[Symptom]:
    """Whether a router could listen; while one runs, it is the one that has the ports."""
    for key, address in (("listen", policy.listen), ("admin.listen", policy.admin.listen)):
        taken = _taken(split_address(address))
        if taken and serves:
            yield Symptom(GOOD, key, f"{address}, where the router runs")
        else:
            text = f"{address} is not to be had: {taken}; stop what has it, or change {key}"
            yield Symptom(BAD if taken else GOOD, key, text if taken else f"{address} is free")


def _taken(address: tuple[str, int]) -> str:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with closing(socket.socket(family)) as probe:
        # As the router does it: without this, a port just left would seem taken for a minute.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            return error.strerror or str(error)
    return ""


def _probes(policy: Policy) -> Iterator[Symptom]:
    """Every declared probe once, asked as the router asks it."""
    for route in policy.routes:
        for name, version in route.versions.items():
            if (health := version.health) is None:
                continue
            for url in version.endpoints:
                said = _answer_of(str(url), health.path, health.timeout)
                verdict = GOOD if said.startswith("answers 2") else BAD
                yield Symptom(verdict, f"{route.name} {name} probe", f"{url}{health.path} {said}")


def _answer_of(url: str, path: str, timeout_s: float) -> str:
    split = urlsplit(url)
    https = split.scheme == "https"
    kind = http.client.HTTPSConnection if https else http.client.HTTPConnection
    port = split.port or (443 if https else 80)
    with closing(kind(split.hostname or "", port, timeout=timeout_s)) as asked:
        try:
            asked.request("GET", path)
            return f"answers {asked.getresponse().status}"
        except (OSError, http.client.HTTPException) as error:
            return f"gives no answer ({error})"


def _store(policy: Policy) -> Symptom:
    if shared(policy.store):
        try:
            return Symptom(GOOD, "store", asyncio.run(looked_at(policy.store)))
        except StoreDamaged as error:
            return Symptom(BAD, "store", str(error).removeprefix("store: "))
    file = Path(policy.store.removeprefix("sqlite:///")).resolve()
    if not os.access(file.parent, os.W_OK):
        return Symptom(BAD, "store", f"{file.parent} not writable")
    if not file.exists():
        return Symptom(GOOD, "store", f"{file.parent} writable, no store yet")
    if wrong := _damage(file):
        return Symptom(BAD, "store", f"{file}: {wrong}")
    return Symptom(GOOD, "store", f"{file} whole, {file.parent} writable")


def _damage(file: Path) -> str:
    """What is wrong with a store, read beside the router that uses it; empty when it is whole."""
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as store:
            (found,) = store.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        return f"damaged ({error})"
    return "" if found == "ok" else f"damaged ({found})"


def _endpoints(policy: Policy) -> Iterator[Symptom]:
    for route in policy.routes:
        for name, version in route.versions.items():
            for url in version.endpoints:
                error = _refused(str(url))
                subject = f"{route.name} {name}"
                yield Symptom(BAD if error else GOOD, subject, f"{url} {error or 'connects'}")


def _refused(url: str) -> str:
    split = urlsplit(url)
    address = (split.hostname or "", split.port or (443 if split.scheme == "https" else 80))
    try:
        socket.create_connection(address, CONNECT_S).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _queries(policy: Policy) -> Iterator[Symptom]:
    """Every query of the gates once: what it answers now, and what its gate would say to that.

    Webhooks are not asked, since asking them may set something off.
    """
    asked = [(route.name, gate) for route in policy.routes if route.rollout is not None
             for gate in route.rollout.gates if isinstance(gate, Prometheus)]  # fmt: skip
    for route, gate in asked:
        measured = asyncio.run(_answer(route, gate))
        state = gate.start(GateContext())
        state.measure(measured, 0.0)
        verdict = BAD if state.errors_in_row else GOOD if state.good else DOUBTFUL
        yield Symptom(verdict, f"{route} {gate.title}", state.sentence())


async def _answer(route: str, gate: Prometheus) -> Measurement:
    from router.control.outside.measure import Asker, Inquiry  # noqa: PLC0415 - takes time to load

    answered: asyncio.Future[Measurement] = asyncio.get_running_loop().create_future()
    async with Asker(lambda _question, measured: answered.set_result(measured)) as asker:
        said = {name: value.get_secret_value() for name, value in gate.headers.items()}
        asker.ask(Inquiry(route, gate, {}, said))
        return await answered


def _router(link: AdminLink) -> Iterator[Symptom]:
    try:
        health = link.client().get(HealthView, "/healthz")
    except VerbFailed as failure:
        yield Symptom(DOUBTFUL, "router", str(failure))
        return
    problems = "; ".join(health.problems or ()) or "healthy"
    yield Symptom(GOOD if health.ok else BAD, "router", f"{link.admin}: {problems}")
