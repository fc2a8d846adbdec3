"""Registry write-back: the model registry learns who is stable and who is on trial.

What is written is computed when it is written, from the record as it is then, and only where it
differs. So a delivery that is repeated or late never undoes a newer one, and a registry that people
changed by hand is touched only when a rollout moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from router.control.outside.alerts import TellAlert
from router.control.outside.hooks import Note
from router.control.outside.outbox import Delivery, Outbox, Undelivered, refused
from router.control.outside.outside import NO_ANSWER, body_of, no_answer
from router.control.rollouts.run import Run
from router.control.state.record import JournalEntry
from router.core.foreign import ANSWER, Unreadable, read
from router.core.policy.registry import MlflowRegistry
from router.core.urls import checked_url

ANSWER_BYTES_MAX: Final = 1_048_576

ALIAS_PATH: Final = "/api/2.0/mlflow/registered-models/alias"
MODEL_PATH: Final = "/api/2.0/mlflow/registered-models/get"
"""MLflow's REST API: https://mlflow.org/docs/latest/api_reference/rest-api.html"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the aliases should be."""

    set: dict[str, str]
    """Alias -> model version."""
    cleared: dict[str, str]
    """Alias -> model version from which it is taken, if it is there; another's is left alone."""
    unknown: tuple[str, ...] = ()
    """Versions of the policy without a model version."""


def wanted(run: Run, registry: MlflowRegistry) -> Wanted:
    """By the record in force: stable's alias, and the candidate's while it is on trial."""
    stable, candidate = registry.aliases.stable, registry.aliases.candidate
    to_set: dict[str, str] = {}
    cleared: dict[str, str] = {}
    roles = [(stable, run.record.stable, True)]
    if run.rollout is not None:
        roles.append((candidate, run.rollout.candidate, run.live is not None))
    unknown = []
    for alias, name, holds in roles:
        version = registry.version_of(name)
        if alias is not None and version is None:
            unknown.append(name)
        elif alias is not None and version is not None:
            (to_set if holds else cleared)[alias] = version
    return Wanted(to_set, cleared, tuple(unknown))


class Registries:
    """Writes to registries in the background; the journal says what was written."""

    def __init__(self, outbox: Outbox, note: Note, tell: TellAlert) -> None:
        self._outbox = outbox
        self._note = note
        self._tell = tell
        self.session: aiohttp.ClientSession | None = None

    def moved(self, run: Run, entry: JournalEntry) -> None:
        """A transition is in force: write what changed, if roles did."""
        registry = run.route.registry
        begins = entry.action in ("start", "retry", "stable")
        if not isinstance(registry, MlflowRegistry) or not (
            begins or entry.phase_from != entry.phase_to
        ):
            return
        written: list[str] = []

        async def send() -> None:
            written[:] = await self._write(registry, wanted(run, registry))

        def done(error: str) -> None:
            if error:
                text = f"registry: {registry.model} was not updated: {error}"
                self._tell("hook_failed", run, text)
                self._note(run, "registry", text)
            elif written:
                self._note(run, "registry", f"registry: {registry.model}: {', '.join(written)}")

        self._outbox.put(
            f"registry {registry.url} {registry.model}",
            Delivery("registry", send, registry.retries, done),
        )

    async def _write(self, registry: MlflowRegistry, want: Wanted) -> list[str]:
        """One try; what was changed, in words. Raises Undelivered."""
        if want.unknown:
            raise Undelivered(f"no model version is known for {want.unknown[0]}", final=True)
        known = _aliases(await self._call(registry, "GET", MODEL_PATH, {"name": registry.model}))
        said = []
        for alias, version in want.set.items():
            if known.get(alias) != version:
                about = {"name": registry.model, "alias": alias, "version": version}
                await self._call(registry, "POST", ALIAS_PATH, about)
                said.append(f"{alias} -> {version}")
        for alias, version in want.cleared.items():
            if known.get(alias) == version:
                await self._call(
                    registry, "DELETE", ALIAS_PATH, {"name": registry.model, "alias": alias}
                )
                said.append(f"{alias} removed from {version}")
        return said

    async def _call(
        self, registry: MlflowRegistry, method: str, path: str, about: dict[str, str]
    ) -> Any:
        """The model that the answer tells of; None: of none."""
        if self.session is None:
            raise Undelivered("the router stops")
        url = checked_url(registry.url.rstrip("/") + path)
        headers = {name: value.get_secret_value() for name, value in registry.headers.items()}
        asks = method == "GET"
        try:
            async with self.session.request(
                method, url, headers=headers, allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=registry.timeout),
                params=about if asks else None, json=None if asks else about,
            ) as answer:  # fmt: skip
                body = await body_of(answer, ANSWER_BYTES_MAX)
        except NO_ANSWER as error:
            raise Undelivered(no_answer(error, registry.timeout)) from None
        if answer.status != 200:
            raise Undelivered(f"MLflow answered {answer.status}{_why(body)}",
                              final=refused(answer.status))  # fmt: skip
        return _part(body, "registered_model")


def _aliases(model: Any) -> dict[str, str]:
    """Alias -> model version. Raises Undelivered for what is no model."""
    try:
        listed = model.get("aliases") if isinstance(model, dict) else model
        return {str(one["alias"]): str(one["version"]) for one in listed or ()}
    except (KeyError, TypeError):
        raise Undelivered("MLflow's answer is about no model") from None


def _part(body: bytes, key: str) -> Any:
    """What an answer has under ``key``; None: nothing. Raises Undelivered where it is no JSON."""
    try:
        decoded = read(body, ANSWER)
    except Unreadable:
        raise Undelivered("MLflow's answer is not JSON") from None
    return decoded.get(key) if isinstance(decoded, dict) else None


def _why(body: bytes) -> str:
    """MLflow's own message, at most a line of it."""
    try:
        message = str(_part(body, "message") or "")
    except Undelivered:
        return ""
    return f": {message[:160]}" if message.isprintable() and message else ""
