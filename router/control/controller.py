"""What people may ask of the control plane and order it to do; the admin API is a view of this."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from router.control.answers import Announcement, CommandResult
from router.core.events import Command


class Controller:
    """The façade. Everything here runs in the control process's loop and answers plain values."""

    def routes(self) -> list[dict[str, Any]]:
        """One summary a route: name, match, stable, candidate, phase, health, weight_bp, epoch."""
        raise NotImplementedError

    def route(self, name: str) -> dict[str, Any]:
        """Everything about one route: versions with windows and endpoints, and its rollout.

        Raises UnknownRoute.
        """
        raise NotImplementedError

    def rollout(self, name: str) -> dict[str, Any]:
        """The complete status of a route's rollout.

        Keys: id, route, stable, candidate, strategy, phase, health, step (1-based), steps, plan,
        weight_bp (commanded), measured_bp, mirror_bp, remaining_s, samples, until_samples, epoch,
        reason, actor, started, attempt, override, approval, gates (list of name, verdict, value,
        limit, sentence …), action, sentence, versions (windows by name), in_flight, revision,
        unsaved, notes. Raises UnknownRoute, NoRollout.
        """
        raise NotImplementedError

    async def command(
        self,
        route: str,
        event: Command,
        *,
        if_epoch: int | None = None,
        command_id: str | None = None,
        dry_run: bool = False,
    ) -> CommandResult:
        """Carry out one order; answers when it is durable and applied by all live workers.

        ``event`` is a :mod:`router.core.events` command with actor and reason. ``if_epoch`` refuses
        when the rollout has moved. The same ``command_id`` twice is carried out once.
        Raises a :class:`router.control.errors.ControlError`.
        """
        raise NotImplementedError

    async def freeze(self, frozen: bool, *, actor: str, reason: str = "") -> None:
        """Stop (or allow) every advance of every rollout; rollbacks go on. Survives restarts."""
        raise NotImplementedError

    async def reload(self, *, force: bool = False, actor: str = "operator") -> dict[str, Any]:
        """Read the policy file now. ``{"changed", "digest", "notes"}``; raises PolicyRejected."""
        raise NotImplementedError

    async def journal(
        self, route: str | None = None, *, since: int | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Journal entries, newest first; ``since`` is an entry id, exclusive. Limit 1 to 1000."""
        raise NotImplementedError

    async def why(self, route: str, at: float | None = None) -> dict[str, Any]:
        """The journal entry that explains the position (at a wall time): sentence and evidence.

        ``{"sentence", "entry", "evidence"}``. Raises UnknownRoute, NoRollout.
        """
        raise NotImplementedError

    def subscribe(self, route: str | None = None) -> AsyncIterator[Announcement]:
        """Events from now on; a listener that is 256 behind loses the oldest."""
        raise NotImplementedError

    def whois(self, route: str, key: str) -> dict[str, Any]:
        """Where a sticky key goes: ``{"bucket", "offset", "version", "weight_bp"}``."""
        raise NotImplementedError

    def now(self) -> float:
        """Rollout clock seconds; ``SetWeight.until`` is ``now() + duration``."""
        raise NotImplementedError

    def health(self) -> dict[str, Any]:
        """Liveness: ``{"ok": bool, "problems": [...], ...}``; 200 when ok."""
        raise NotImplementedError

    def ready(self) -> dict[str, Any]:
        """Readiness: ok once every worker has applied the current table."""
        raise NotImplementedError

    async def metrics_text(self) -> str:
        """Prometheus text format 0.0.4 of the whole router."""
        raise NotImplementedError
