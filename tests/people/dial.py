"""The automation dial on the flights of 2013, in virtual time, by the product's own core.

``python -m tests.people.dial``. Dispatchers are right in 95 of 100 cases (a seeded coin) and answer
after ten minutes. A model is turned on level by level by the gates of the policy, from human_only
to partial; there it answers what it is sure of, and a random audit of that is held against people.
How sure is sure is proposed by the accuracy-coverage curve of earlier flights. Then it breaks.

Control, the reader's code, the log's file, what a worker weighs and what a decision tells the log
are the product's; clocks, workers and people are not.
"""

import asyncio
import json
import random
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

from router.control.fleet.feedback import Statement
from router.control.fleet.samples import reads_of
from router.control.reviews.book import StoredQuestion
from router.control.reviews.said import truths_of
from router.core.reviews.confidence import Reason, confidence
from router.core.reviews.coverage import curve, proposed
from router.core.rollout.rollout import Phase
from router.core.wire.review import ReviewItem
from router.core.wire.sampled import Sampled
from router.link.reading import Look
from router.proxy import weighing
from tests.control.conftest import World
from tests.log.flights import BEGIN, CASES_A_MINUTE, LATE_ABOVE, Shadowed, flights

RIGHT = 0.95
LAG_S = 600.0
LEARNT = 6_000
"""Earlier flights, whose truth is known: from these the threshold is proposed."""
POLICY = (
    BEGIN
    + """\
    review: {{below: {below}, audit: {audit}, within: 4h}}
    rollout:
      candidate: model
      strategy:
        automation:
          human_only: {{hold: 1h}}
          shadow: {{until: {{samples: 200}}}}
          assist: {{until: {{samples: 50}}}}
          partial: {{approval: {{}}}}
      gates: [agreement: {{at_least: 88%}}, guard: {{error_rate: 2%}}]
"""
)


class Dial(Shadowed):
    """See the module."""

    def __init__(self, folder, below, audit, seed):
        super().__init__(folder)
        self.world = World(POLICY.format(folder=folder, below=below, audit=audit))
        self.dice = random.Random(seed)
        self.levels = []
        self.figures = {"cases": 0, "automated": 0, "audited": 0, "wrong": 0, "people_wrong": 0}
        self.broken = None
        """What the model says in place of its score, from now on."""
        self.bad = 0
        """Wrong answers that clients got of it since then."""
        self.bad_audited = 0
        """Those of them that people audit."""

    def person(self, late):
        """What a dispatcher says."""
        return late if self.dice.random() < RIGHT else not late

    @property
    def level(self):
        run = self.world.reconciler.runs["r"]
        live = run.record.live
        return live.plan.steps[live.rollout.step].label if live else self.world.rollout.phase.value

    def asked(self, name, score, person):
        """One request, by the table that is in force."""
        entry, wall = self.world.entry, self.world.clock.wall()
        score = score if self.broken is None else self.broken(score)
        body = json.dumps({"late": score > LATE_ABOVE, "p": score}).encode()
        if entry.candidate < 0 or not entry.weights_bp[entry.candidate]:
            if entry.mirrors:
                self.case(name, score, person)
            return person, False
        reason = self.weighed(entry, body)
        self.reader.send(Look(0, Sampled(
            "r", "model", entry.revision, "candidate", "c", weight_bp=10_000, request_id=name,
            at=wall, status=200, answer=body,
        )))  # fmt: skip
        self.reader.reader._reads.setdefault("r", reads_of(self.world.reconciler.runs["r"]))
        if reason is not None:
            item = ReviewItem(name, "r", "model", entry.revision, name, reason, 0.0, wall)
            self.due.append((wall + LAG_S, item, person))
            self.figures["audited"] += reason is Reason.AUDIT
        alone = reason is None or reason is Reason.AUDIT
        return (score > LATE_ABOVE if alone else person), alone

    def weighed(self, entry, body):
        """What a worker makes of an answer."""
        route, head = SimpleNamespace(body_s=1.0), SimpleNamespace(get=lambda _name: None)
        read = weighing.Weighing(route, entry.review, head, entry.payload, person=False)
        assert read.more(body, True)
        return read.reason

    async def answers(self):
        """What people have said by now: by the desk, or of a question of the queue."""
        wall, told = self.world.clock.wall(), []
        while self.due and self.due[0][0] <= wall:
            _, item, said = self.due.popleft()
            if isinstance(item, str):
                item = ReviewItem(item, "r", "desk", 0, item, Reason.PERSON, -1.0, wall)
            kept = StoredQuestion(item, wall, "decided", verdict=json.dumps(said))
            told += [Statement(truth) for truth in truths_of(kept)]
        if told:
            task = asyncio.ensure_future(self.feedback.tell(told))
            await asyncio.sleep(0)
            self.reader.pump()
            await task

    async def step(self, name, score, late):
        """One case and the third of a minute after it."""
        level = self.level
        if not self.levels or self.levels[-1] != level:
            self.levels.append(level)
        person = self.person(late)
        said, alone = self.asked(name, score, person)
        if level == "partial" and self.broken is None:
            figures = self.figures
            figures["cases"] += 1
            figures["automated"] += alone
            figures["wrong"] += said != late
            figures["people_wrong"] += person != late
        if self.broken is not None and alone:
            self.bad += said != late
            self.bad_audited += said != late and self.due[-1][1].id == name
        self.world.clock.advance(60.0 / CASES_A_MINUTE)
        await self.answers()
        self.reader.pump()
        self.served(20)
        self.world.reconciler.turn()
        for _ in range(3):  # the store's answers
            await asyncio.sleep(0)


def sure_at(cases, error):
    """The share of confidence that is proposed, as a policy has it, and what it was proven by."""
    said = [(confidence(p, probability=True), (p > LATE_ABOVE) == late) for _, p, late in cases]
    point = proposed(curve(said), error)
    return f"{point.threshold:.2%}", point


async def turned(cases, below, *, audit="20%", seed=19, at_partial=2_000, broken=None, most=9_000):
    """Figures of one dial: levels, automation, errors; and after the break how it ended."""
    audits = random.Random(seed + 1)
    weighing.coin = lambda: audits.randrange(10_000)  # seeded, as all else
    one = await Dial(Path(tempfile.mkdtemp()), below, audit, seed).start()
    since = 0
    for name, score, late in cases[:most]:
        if one.broken is None and one.figures["cases"] >= at_partial:
            if broken is None:
                break
            one.broken = broken
        if one.broken is not None:
            since += 1
        await one.step(name, score, late)
        if one.world.rollout.phase in (Phase.ROLLED_BACK, Phase.COMPLETED):
            break
    figures, rollout = one.figures, one.world.rollout
    number = max(figures["cases"], 1)
    return {
        "levels": one.levels, "phase": rollout.phase.value, "reason": rollout.reason,
        "cases_at_partial": figures["cases"], "audited": figures["audited"],
        "automated": figures["automated"] / number, "error": figures["wrong"] / number,
        "people_error": figures["people_wrong"] / number, "bad_after_break": one.bad,
        "bad_audited": one.bad_audited, "cases_after_break": since,
        "weight_bp": one.world.entry.weights_bp,
    }  # fmt: skip


BREAKS = {"inverted": lambda p: 1.0 - p}


async def main(version):
    cases = flights(version, LEARNT + 4_000)
    below, point = sure_at(cases[:LEARNT], 0.05)
    print(version, "sure at", below, point, flush=True)
    for name, broken in BREAKS.items():
        print(name, json.dumps(await turned(cases[LEARNT:], below, broken=broken)), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*(sys.argv[1:] or ["v3"])))
