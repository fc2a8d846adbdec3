"""What people tell of predictions, what moves in data, and the disk under the log."""

from __future__ import annotations

from functools import partial

from router.control.fleet.feedback import Statement
from router.control.state.errors import ControlError
from router.core.logged.truth import Truth
from router.core.monitors.watched import Watched
from router.core.wire.sampled import Sampled

FACTS = ("correct", "score", "label", "value", "accepted")
TRUE = {"score": 0.5, "value": 2.5}


def draw_label(rng):
    return {
        "number": rng.randrange(1_000), "fact": rng.choice(FACTS), "by": rng.choice("irb"),
        "row": rng.choice([0, 0, 0, 1]), "again": rng.random() < 0.3,
    }  # fmt: skip


def label(night, number, *, fact="correct", by="r", row=0, again=False):
    """Late truth of what clients were answered, and of what nobody was: by id, receipt, or both."""
    process = night.control()
    if process is None:
        return
    known = [one for client in night.people for one in client.answers][-6:]
    given = []
    for at, (route, asked, receipt) in enumerate(known):
        value = TRUE.get(fact, (number + at) % 3 > 0)
        if fact == "label":
            value = ("yes", "no", True)[(number + at) % 3]
        about = {"row": row, fact: value, "source": ("human", "system")[number % 2]}
        if by in "ib":
            given.append(Statement(Truth(asked, **about)))
        if by in "rb" and receipt:
            given.append(Statement(Truth(**about), receipt))
        night.checks.said(route, asked, row, fact)
    given += [Statement(Truth(correct=True), "nonsense"), Statement(Truth("nobody", label="yes"))]
    for _ in range(1 + again):
        process.create_task(_tell(night, process, given))


async def _tell(night, process, given):
    try:
        told = await process.plane.controller.feedback(given)
    except ControlError:
        return
    except Exception as error:
        night.checks.fail("asking ends in an exception", f"feedback: {error!r}")
        return
    if told.accepted + len(told.refused) + told.duplicates != len(given):
        night.checks.fail("sums do not add up", f"{len(given)} statements: {told}")


def draw_data(rng):
    return {
        "route": rng.choice("ab"), "shift": rng.choice([0.0, 0.0, 60.0]),
        "says": rng.choice(["same", "same", "other", "nothing"]),
        "role": rng.choice(["stable", "stable", "candidate"]), "count": rng.choice([60, 120]),
        "times": rng.choice([1, 3, 6]),
    }  # fmt: skip


def data(night, *, route, shift, says, role, count, times):
    """Many rows of data at once, as the reader finds them; a few times, a second apart."""
    process = night.control()
    run = process.plane.reconciler.runs.get(route) if process is not None else None
    if run is not None:
        revision = run.live.trial.revision if run.live else 0
        sample = Sampled(route, "v1", revision, role, "s")
        process.call_soon(process.plane.watching.take, sample, _rows(night, shift, says, count))
    if times > 1:
        again = partial(data, night, route=route, shift=shift, says=says, role=role, count=count)
        night.world.call_later(1.0, partial(again, times=times - 1))


def _rows(night, shift, says, count):
    rows, answers = [], []
    for _ in range(count):
        amount = night.noise.random() * 100 + shift
        rows.append((amount, "x" if shift else night.noise.choice("xyz")))
        label = {"same": amount > 50, "other": False, "nothing": None}[says]
        answers.append((label, None if says == "nothing" else amount / 100))
    return Watched(tuple(rows), tuple(answers))


def accept(night, route):
    """A person says that data are as they are now, or has seen why it was taken back."""
    process = night.control()
    if process is not None:
        process.create_task(_accept(process.plane.controller, route))


async def _accept(controller, route):
    try:
        controller.accept(route, actor="ann", reason="so it is")
        await controller.acknowledge(route, actor="ann")
    except ControlError:
        return


def log_disk(night, rate, for_s):
    night.log_file.fault_rate = rate

    def mend():
        night.log_file.fault_rate = 0.0

    night.world.call_later(for_s, mend)


def log_kill(night):
    """The reader is killed in the middle of its next stroke."""
    night.log_file.kill_next = True
