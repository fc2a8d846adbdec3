"""The policy file: looked at every second, accepted whole or not at all.

Reading, parsing and checking happen in a thread. What cannot be accepted leaves the last good
policy in force and is shown until it is mended.

A file without the ``rollout:`` of a live rollout ends it. Half of a file can be a whole policy, so
that is believed only of a file that came by a rename, or that reads the same a second later.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from router.config.check import LoadedPolicy
from router.config.files import read_at_most
from router.config.masking import without_secrets
from router.config.named_files import FilesMissing
from router.config.problems import PolicyError
from router.config.source import SIZE_BYTES_MAX
from router.config.watch import POLL_INTERVAL_S, FileWatch
from router.control.state.clock import Clock
from router.control.state.errors import PolicyRejected
from router.control.told.announce import Announcer
from router.control.told.answers import ReloadView
from router.control.told.views import PolicyView, ProblemView
from router.core.policy import Policy
from router.loops import forever
from router.telemetry.log import get_logger

FIXED: Mapping[str, Callable[[Policy], Any]] = {
    "listen": lambda policy: policy.listen,
    "tls": lambda policy: policy.tls,
    "admin.listen": lambda policy: policy.admin.listen,
    "admin.tls": lambda policy: policy.admin.tls is None,
    "store": lambda policy: policy.store,
    "engine": lambda policy: policy.engine,
    "workers": lambda policy: policy.workers,
}
"""What takes effect at the next start; an edit of it is noted. Files of certificates are followed
all the same, and an admin certificate may move to other files."""

PENDING_LINES_MAX = 500
"""Lines of a pending difference that are shown."""

log = get_logger("router.control")

Adopt = Callable[..., tuple[str, ...]]
"""``adopt(policy, force=...)`` of the reconciler."""


def with_known(policy: Policy, before: Policy | None) -> Policy:
    """The policy with the routes of ``before`` where they are equal: those need no adopting."""
    known = {route.name: route for route in before.routes} if before else {}
    routes = tuple(
        known[route.name] if known.get(route.name) == route else route for route in policy.routes
    )
    return policy.model_copy(update={"routes": routes})


class PolicySource:
    """Where the policy comes from, and how the last reading of it went."""

    def __init__(self, path: str | Path, adopt: Adopt, announcer: Announcer, clock: Clock) -> None:
        self.path = str(path)
        self.ok = False
        """The last reading was accepted."""
        self.accepted_at = 0.0
        """Wall clock of the last accepted reading, seconds since 1970."""
        self.digest = ""
        self.problems: tuple[ProblemView, ...] = ()
        """Of the last reading; empty when it was accepted."""
        self.notes: tuple[str, ...] = ()
        self._text = ""
        """In force."""
        self._refused = ""
        """The file's, where that is not in force."""
        self._report = ""
        self._watch = FileWatch(path)
        self._adopt = adopt
        self._announcer = announcer
        self._clock = clock
        self.also: Callable[[Policy], tuple[str, ...]] = lambda _policy: ()
        """Who else takes an accepted policy over; answers notes for the operator."""
        self.ending: Callable[[Policy], tuple[str, ...]] = lambda _policy: ()
        """Routes whose live rollout a policy would end, by having none."""
        self._look_again = False
        """The file leaves a live rollout out, and that is not believed yet."""
        self._began: Policy | None = None
        self._last: Policy | None = None
        """As it was read when it was accepted."""
        self._one_at_a_time = asyncio.Lock()

    def __repr__(self) -> str:
        state = "accepted" if self.ok else f"{len(self.problems)} problems"
        return f"<PolicySource {self.path} {self.digest[:12]}: {state}>"

    async def load(self) -> LoadedPolicy:
        """Read and check the file without adopting it. Raises PolicyError."""
        return await asyncio.to_thread(self._load)

    def _load(self) -> LoadedPolicy:
        loaded = self._watch.load()
        return replace(loaded, policy=with_known(loaded.policy, self._last))

    async def reload(self, *, force: bool = False, actor: str = "operator") -> ReloadView:
        """Read now and adopt. Raises PolicyRejected; the old policy then stays in force."""
        async with self._one_at_a_time:
            try:
                self._look_again = False
                loaded = await (self._settled() if actor == "file" else self.load())
                left_out = bool(self.ending(loaded.policy))
                ends = left_out and self._watch.renamed
                if left_out and not ends:
                    loaded, ends = await self._again(loaded)
                elif actor == "file" and self.ok and loaded.digest == self.digest and not ends:
                    return self._told(changed=False)  # after a start: nobody has edited it
                return self.adopted(loaded, force=force, actor=actor, ends=ends)
            except PolicyError as error:
                problems = tuple(ProblemView.of(one.to_json()) for one in error.problems)
                self._refused = await asyncio.to_thread(_text_of, self.path)
                self._rejected(str(error), problems)
                raise PolicyRejected(str(error), problems) from None
            except PolicyRejected as error:
                self._refused = loaded.document.text
                self._rejected(str(error), error.problems)
                raise

    async def _settled(self) -> LoadedPolicy:
        """As `load`; a certificate and its key are renewed one after the other."""
        try:
            return await self.load()
        except FilesMissing:
            await asyncio.sleep(POLL_INTERVAL_S)
            return await self.load()

    async def _again(self, before: LoadedPolicy) -> tuple[LoadedPolicy, bool]:
        """The file a second later, and whether it is the same; else the next look sees to it."""
        await asyncio.sleep(POLL_INTERVAL_S)
        loaded = await self.load()
        self._look_again = loaded.digest != before.digest
        return loaded, not self._look_again

    def adopted(
        self, loaded: LoadedPolicy, *, force: bool = False, actor: str = "router",
        ends: bool = False,
    ) -> ReloadView:  # fmt: skip
        """Put a loaded policy into force. Raises PolicyRejected.

        ``ends``: live rollouts that it leaves out end.
        """
        notes = self._adopt(loaded.policy, force=force, ends=ends)
        self._look_again = bool(self.ending(loaded.policy))
        changed = loaded.digest != self.digest or bool(self._report)
        self._began, self._last = self._began or loaded.policy, loaded.policy
        notes = (*notes, *self.also(loaded.policy))
        began = self._began
        late = [key for key, value in FIXED.items() if value(loaded.policy) != value(began)]
        if late:
            notes = (*notes, f"{', '.join(late)}: the edit takes effect at the next start")
        warnings = tuple(problem.headline() for problem in loaded.warnings)
        self.ok, self.problems, self.notes = True, (), (*notes, *warnings)
        self.digest, self.accepted_at = loaded.digest, self._clock.wall()
        self._text, self._refused, self._report = loaded.document.text, "", ""
        if changed:
            self._announcer.announce("policy", "", "policy accepted", {"digest": self.digest})
            log.info("policy_accepted", file=self.path, actor=actor, notes=list(self.notes))
        return self._told(changed=changed)

    def _told(self, *, changed: bool) -> ReloadView:
        return ReloadView(changed=changed, digest=self.digest, notes=list(self.notes))

    async def view(self) -> PolicyView:
        """What is in force, and what is on the disk and is not; without secrets."""
        told = PolicyView(
            file=self.path, ok=self.ok, digest=self.digest, accepted_at=self.accepted_at, text="",
            pending=[], report=self._report, notes=list(self.notes),
            problems=list(self.problems),
        )  # fmt: skip
        names = ("in force", f"{Path(self.path).name}, refused")
        # A file of 1,000 routes takes 0.2 s to look through.
        text, pending = await asyncio.to_thread(_shown, self._text, self._refused, names)
        return msgspec.structs.replace(told, text=text, pending=pending)

    async def watch(self) -> None:
        """Adopt every edit, for ever."""
        await forever("policy", self._look)

    async def _look(self) -> None:
        await asyncio.sleep(POLL_INTERVAL_S)
        if await asyncio.to_thread(self._watch.changed) or self._look_again:
            with contextlib.suppress(PolicyRejected):  # told; the next edit may mend it
                await self.reload(actor="file")

    def _rejected(self, text: str, problems: tuple[ProblemView, ...]) -> None:
        self.ok, self.problems, self._report = False, problems, text
        plain = [problem.to_json() for problem in problems]
        self._announcer.announce("problem", "", text, {"problems": plain})
        log.error("policy_rejected", file=self.path, problems=plain)


def _shown(text: str, refused: str, names: tuple[str, str]) -> tuple[str, list[str]]:
    """The file in force without its secrets, and what a refused one would change of it."""
    shown = without_secrets(text)
    if not refused:
        return shown, []
    pending = without_secrets(refused).splitlines()
    difference = difflib.unified_diff(shown.splitlines(), pending, *names, n=3)
    return shown, [line.rstrip("\n") for line in islice(difference, PENDING_LINES_MAX)]


def _text_of(path: str) -> str:
    """The file as text, whatever is in it; empty where it cannot be read."""
    try:
        return read_at_most(path, SIZE_BYTES_MAX).decode("utf-8", "replace")
    except OSError:
        return ""
