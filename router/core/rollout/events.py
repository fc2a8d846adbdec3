"""What can happen to a rollout: one observation of the world, and the commands of people.

Events carry everything the machine needs; it reads no clock and asks nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What the evidence asks for."""

    CONTINUE = "continue"
    HOLD = "hold"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Observed:
    """The world at one look: what the judge says and what the step has seen."""

    action: Action = Action.CONTINUE
    sentence: str = ""
    """The judge's reason; copied unchanged into everything people see."""
    plain: str = ""
    """The same as a person would say it, where evidence moves the traffic (see core/spoken)."""
    samples: int = 0
    """Judged candidate answers (compared pairs in a mirror step) since the step began."""
    proven: bool = False
    """The promotion gates have their proof of non-inferiority."""
    auto_weight_bp: int | None = None
    """Weight the evidence-driven ramp asks for."""
    cap_bp: int | None = None
    """The most that the candidate may have while there is evidence against it; None: as planned."""
    cap_reason: str = ""
    """Why the cap came or went, when it did."""
    round: int = 0
    """Of the evidence; a trial begins a new one."""
    shares: tuple[tuple[str, int], ...] | None = None
    """Shares that rewards ask for in a ``bandit`` step, by version."""
    unproven: str = ""
    """What the gates have not had enough of yet; empty when this position may be left."""
    unready: str = ""
    """Why the candidate cannot take more traffic now; empty when it can."""
    stopped: str = ""
    """Why the clocks stand (see core/rollout/clocks); empty when they run."""
    may_advance: bool = True
    """False outside a time window, during a freeze, or while a lock-step group waits."""
    wait_reason: str = ""
    """Why it may not advance."""

    def sound(self, *, blind: bool = False) -> bool:
        """The candidate is ready, and proven as far as its gates can (or nobody asks for that)."""
        return not self.unready and (blind or not self.unproven)


@dataclass(frozen=True, slots=True)
class Command:
    """A person's (or a hook's) order, with who and why for the journal."""

    actor: str = "operator"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Promote(Command):
    """Leave the present step now; ``full`` skips all steps and goes to the bake."""

    full: bool = False
    unproven: str = ""
    """What nobody has proven when a person decides all the same; it goes into the journal."""


@dataclass(frozen=True, slots=True)
class Pause(Command):
    """Stand still at the present weight."""


@dataclass(frozen=True, slots=True)
class Resume(Command):
    """Go on after a pause with what remained of the step."""


@dataclass(frozen=True, slots=True)
class Abort(Command):
    """Give up before completion: all traffic to stable."""

    instant: bool = False
    """At once, although the plan returns traffic in steps: the candidate never had any."""


@dataclass(frozen=True, slots=True)
class Rollback(Command):
    """Back to the previous version, whenever; also undoes a completed rollout."""

    instant: bool = False
    """At once, although the plan returns traffic in steps; also ends a return under way."""
    to: str = ""
    """Version that gets the traffic; empty: the one before."""


@dataclass(frozen=True, slots=True)
class Retry(Command):
    """Start again from the first step after an abort or a rollback."""

    force: bool = False
    """Even though it was tried too often (the policy's ``anti_flap``)."""
    unready: str = ""
    """Why the candidate cannot take traffic yet: it then stands at its start."""


@dataclass(frozen=True, slots=True)
class SetWeight(Command):
    """Override the step's weight until ``until`` (rollout clock seconds); None lifts it."""

    weight_bp: int | None = None
    until: float = 0.0


class Refused(Exception):  # noqa: N818 - reads as the answer it is
    """A command that the table does not allow in this phase; the text says what is possible."""


AnyCommand = Promote | Pause | Resume | Abort | Rollback | Retry | SetWeight
"""What people may order."""

Event = Observed | AnyCommand
EVENTS: tuple[type, ...] = (Observed, Promote, Pause, Resume, Abort, Rollback, Retry, SetWeight)
"""Every kind of event, for the table's completeness test."""
