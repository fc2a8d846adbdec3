"""``rampway score``: recorded requests to a version that nobody has met yet, judged as a shadow."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from router.cli.exits import Exit, VerbFailed
from router.cli.found import VALUES, ScoreFoundView, gates_of
from router.cli.log import table_errors, there
from router.cli.options import interactive
from router.cli.output import Format, Output
from router.cli.parse import Argument, Option
from router.cli.say import confirm, echo
from router.cli.seconds import parse_rate
from router.cli.shadow import books
from router.cli.show import emit
from router.config.check import load
from router.config.problems import PolicyError
from router.control.rollouts.places import reached_at
from router.control.told.compared import ShadowView
from router.control.told.paired import shadow_view
from router.core.policy import Policy, Route
from router.core.policy.rollout import RolloutPolicy
from router.core.wire.credentials import CREDENTIALS
from router.core.words import count

if TYPE_CHECKING:
    from router.core.wire.counts import PairSample
    from router.proxy.replaying import Recorded, Replaying
    from router.reader.stored import StoredRequest
    from router.simulation.scored import ScoreJudge, ScoreVerdict

EXITS: Final = {"pass": Exit.OK, "fail": Exit.DEGRADED, "pending": Exit.TIMED_OUT}
MOST: Final = 10_000
"""Requests that are sent where nobody says how many."""
SAVED_EACH: Final = 1_000
"""Requests between two writings of the state."""
LOOK_S: Final = 0.02
"""Between two looks at what is under way."""


def run(  # noqa: PLR0917 - its options
    log: Annotated[str, Argument("The prediction log; absent: prediction_log.file.")] = "",
    to: Annotated[str, Option("The version that is asked; absent: the candidate.")] = "",
    policy: Annotated[Path, Option("Policy file, whose gates decide.")] = Path("policy.yaml"),
    route: Annotated[str, Option("Route; may be left out if just one has a rollout.")] = "",
    rate: Annotated[str, Option("Requests a second at most, such as 50/s.")] = "50/s",
    at_once: Annotated[int, Option("Requests under way at most.", least=1, most=1_024)] = 8,
    most: Annotated[int, Option("Requests in all at most.", least=1)] = MOST,
    whole: Annotated[bool, Option("Go on behind a verdict, to the end of the log.")] = False,
    state: Annotated[
        Path | None, Option("File to go on from after an interruption; it is written, too.")
    ] = None,
    header: Annotated[
        str, Option("A credential, which no log keeps: 'Authorization: Bearer ...'.")
    ] = "",
    yes: Annotated[bool, Option("Do not ask.", "--yes", "-y")] = False,
    output: Format = Output.TABLE,
) -> None:
    """Send recorded requests to a version and judge its answers: exit 0 passed, 3 worse, 4 not yet.

    The requests of a log with `bodies: true` go byte for byte, as copies of a shadow would, and the
    answers are held against stable's by the gates, payloads and evidence of the shadow. They are
    sent for real: what the version does on being asked, it does.
    """
    chosen = _chosen(policy, route, to, log)
    there(chosen.log, "name the log, score FILE ...")
    if chosen.keeps_secrets and not header:
        raise VerbFailed(Exit.USAGE, (
            "mirroring.keep_headers passes credentials on, and no log has them: "
            "give one with --header 'Authorization: ...'"
        ))  # fmt: skip
    scoring = _Scoring(chosen, parse_rate("--rate", rate), at_once, most, state, whole, header)
    _warn(scoring, yes=yes)
    with table_errors(chosen.log):
        found = asyncio.run(scoring.run())
    if output is Output.JSON:
        emit(_found(scoring, found))
    else:
        echo("\n".join(_lines(scoring, found)))
    if found.verdict != "pass":
        raise VerbFailed(EXITS[found.verdict], "")


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Whom is asked, by which gates."""

    route: Route
    rollout: RolloutPolicy
    version: str
    log: str

    @property
    def keeps_secrets(self) -> bool:
        kept = {name.lower() for name in self.rollout.mirroring.keep_headers}
        return not kept.isdisjoint(CREDENTIALS)


def _chosen(path: Path, name: str, version: str, log: str) -> _Chosen:
    try:
        policy: Policy = load(path).policy
    except PolicyError as error:
        raise VerbFailed(Exit.USAGE, f"{path} cannot be used\n{error}") from None
    found: list[Route] = [one for one in policy.routes if one.rollout and name in ("", one.name)]
    if len(found) != 1 or found[0].rollout is None:
        known = ", ".join(one.name for one in policy.routes if one.rollout is not None)
        raise VerbFailed(Exit.USAGE, f"name a route with a rollout; there is {known or 'none'}")
    route, rollout = found[0], found[0].rollout
    version = version or rollout.candidate
    if version not in route.versions or version == route.stable:
        known = ", ".join(one for one in route.versions if one != route.stable)
        raise VerbFailed(Exit.USAGE, f"--to: expected one of {known}, got {version}")
    if route.person(route.stable) or route.person(version):
        raise VerbFailed(Exit.USAGE, "people are not asked once more: choose two models")
    return _Chosen(
        route, rollout.model_copy(update={"candidate": version}), version,
        log or policy.prediction_log.file,
    )  # fmt: skip


def _warn(scoring: _Scoring, *, yes: bool) -> None:
    chosen = scoring.chosen
    where = ", ".join(reached_at(chosen.route, chosen.version))
    echo(
        f"rampway: up to {count(scoring.most, 'recorded request')} of {chosen.log} go to "
        f"{chosen.version} ({where}) for real, {scoring.rate:g} a second: what it does on being "
        "asked (writes, mails, bills) it does once more. X-Rampway-Shadow: 1 marks them", err=True,
    )  # fmt: skip
    if not yes and interactive() and not confirm("go on?", err=True):
        raise VerbFailed(Exit.USAGE, "nothing was sent")


@dataclass(slots=True)
class _Scoring:
    """One run over the log."""

    chosen: _Chosen
    rate: float
    at_once: int
    most: int
    state: Path | None
    whole: bool
    header: str
    sent: int = 0
    passed_over: int = 0
    """Requests that ``mirroring`` does not copy."""
    after: int = 0
    """Place in the log of the last one that was sent."""
    resumed: bool = False
    interrupted: bool = False
    _at: dict[str, float] = field(default_factory=dict)
    """Of requests under way, when they were asked."""

    async def run(self) -> ScoreVerdict:
        from router.control.rollouts.publish import scored_entry  # noqa: PLC0415 - slow to import
        from router.proxy.replaying import Replaying  # noqa: PLC0415 - as above

        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self._interrupt)
        chosen = self.chosen
        judge = self._judge()
        entry = scored_entry(
            chosen.route, chosen.rollout, stable=chosen.route.stable, version=chosen.version,
            at_once=self.at_once,
        )  # fmt: skip
        replaying = Replaying(entry, lambda pair: self._paired(judge, pair))
        try:
            await self._send(replaying, judge)
        finally:
            replaying.close()
        return judge.verdict()

    def _interrupt(self) -> None:
        self.interrupted = True

    def _judge(self) -> ScoreJudge:
        """With stable's past from the log, or as it was when the state was written."""
        from router.reader.stored import bare, pasts  # noqa: PLC0415 - as above
        from router.simulation.scored import ScoreJudge, past_of  # noqa: PLC0415 - as above

        chosen = self.chosen
        name, stable = chosen.route.name, chosen.route.stable
        past = pasts(chosen.log, name, stable, most=self.most)
        if not past:
            kept = bare(chosen.log, name)
            raise VerbFailed(Exit.USAGE, (
                f"{chosen.log} has no request of {name} as it was sent, answered by {stable} "
                f"({kept:,} without bytes): log: {{bodies: true}} without redact keeps them"
            ))  # fmt: skip
        ended = [(bool(one.error), one.seconds) for one in past]
        baseline = past_of(ended, len(ended) / self.rate)
        judge = ScoreJudge(
            chosen.route, chosen.rollout, baseline, stable=stable, candidate=chosen.version
        )
        if self.state is not None and self.state.exists():
            self._resume(self.state, judge)
        return judge

    def _resume(self, path: Path, judge: ScoreJudge) -> None:
        try:
            told = msgspec.json.decode(path.read_bytes())
            whose = told["of"]
            judge.restore(told["judge"])
            self.after, self.sent = int(told["after"]), int(told["sent"])
            self.passed_over = int(told["passed_over"])
        except (ValueError, KeyError, TypeError, OSError, msgspec.DecodeError) as error:
            raise VerbFailed(
                Exit.USAGE, f"--state {path}: cannot go on from it ({error}); remove it"
            ) from None
        if whose != self._about():
            raise VerbFailed(Exit.USAGE, f"--state {path}: it is of {', '.join(map(str, whose))}")
        self.resumed = True

    def _about(self) -> list[str]:
        return [self.chosen.route.name, self.chosen.version, self.chosen.log]

    async def _send(self, replaying: Replaying, judge: ScoreJudge) -> None:
        from router.reader.stored import stored  # noqa: PLC0415 - as above

        chosen = self.chosen
        due, saved = monotonic(), self.sent
        left = max(self.most - self.sent - self.passed_over, 0)
        for one in stored(
            chosen.log, chosen.route.name, chosen.route.stable, after=self.after, most=left
        ):
            await self._room(replaying, due)
            if self.interrupted or (judge.decided and not self.whole):
                break
            due = max(due, monotonic() - 1.0) + 1.0 / self.rate
            self._one(replaying, one)
            if self.sent - saved >= SAVED_EACH:
                saved = self.sent
                await self._settle(replaying, judge)
        await self._settle(replaying, judge)

    async def _room(self, replaying: Replaying, due: float) -> None:
        """Until the next one may be sent."""
        while (now := monotonic()) < due or replaying.active >= self.at_once:
            replaying.sweep(now)
            await asyncio.sleep(min(max(due - now, 0.001), LOOK_S))
            if self.interrupted:
                return

    def _one(self, replaying: Replaying, one: StoredRequest) -> None:
        self.after = one.id
        self._at[one.request_id] = one.at
        try:
            self.sent += (sent := replaying.send(self._recorded(one)))
        except ValueError:
            sent = False
        if not sent:
            self.passed_over += 1
            del self._at[one.request_id]

    def _recorded(self, one: StoredRequest) -> Recorded:
        """Raises ValueError where the log has something else than a request."""
        from router.http1 import read_head  # noqa: PLC0415 - as above
        from router.proxy.replaying import Recorded  # noqa: PLC0415 - as above

        head, peer = read_head(with_secret(one.head, self.header))
        failed = one.status in self.chosen.route.errors
        return Recorded(
            head, peer, one.body, one.request_id, one.segment, one.status, one.seconds,
            b"" if failed else one.answer, one.coding,
        )  # fmt: skip

    def _paired(self, judge: ScoreJudge, pair: PairSample) -> None:
        judge.take(pair, self._at.get(pair.request_id, 0.0))

    async def _settle(self, replaying: Replaying, judge: ScoreJudge) -> None:
        """Until nothing is under way; then the state is written."""
        while replaying.active:
            replaying.sweep(monotonic())
            await asyncio.sleep(LOOK_S)
        self._at.clear()
        for counts in replaying.counts():
            judge.book.mirrored(counts)
        if self.state is not None:
            told = {
                "of": self._about(), "after": self.after, "sent": self.sent,
                "passed_over": self.passed_over, "judge": judge.snapshot(),
            }  # fmt: skip
            fresh = self.state.with_suffix(f".{os.getpid()}")
            fresh.write_bytes(msgspec.json.encode(told))
            fresh.replace(self.state)


def with_secret(head: bytes, header: str) -> bytes:
    """The head with the value of a credential that it had: ``Authorization: Bearer x``."""
    name, _, value = header.partition(":")
    if not name:
        return head
    lines = head.split(b"\r\n")
    wanted = name.strip().lower().encode()
    return b"\r\n".join(
        line.rstrip() + b" " + value.strip().encode()
        if line.rstrip().lower() == wanted + b":" else line
        for line in lines
    )  # fmt: skip


def _lines(scoring: _Scoring, found: ScoreVerdict) -> Iterator[str]:
    chosen = scoring.chosen
    yield f"{found.verdict}: {found.sentence}"
    over = f", {scoring.passed_over:,} that mirroring does not copy" if scoring.passed_over else ""
    yield f"{count(scoring.sent, 'request')} of {chosen.log} sent to {chosen.version}{over}"
    if scoring.interrupted:
        hint = f"; the same command goes on from {scoring.state}" if scoring.state else ""
        yield f"interrupted{hint}"
    yield from books(_shadow(scoring, found), worst=5)


def _found(scoring: _Scoring, found: ScoreVerdict) -> ScoreFoundView:
    chosen, said = scoring.chosen, found.judgement
    return ScoreFoundView(
        verdict=found.verdict, value=VALUES[found.verdict], sentence=found.sentence,
        evidence=said.capital, limit=said.limit, gates=gates_of(said), route=chosen.route.name,
        version=chosen.version, stable=chosen.route.stable, log=chosen.log, sent=scoring.sent,
        passed_over=scoring.passed_over, resumed=scoring.resumed, interrupted=scoring.interrupted,
        shadow=_shadow(scoring, found),
    )  # fmt: skip


def _shadow(scoring: _Scoring, found: ScoreVerdict) -> ShadowView:
    return shadow_view(found.book, route=scoring.chosen.route.name, rollout="", live=False)
