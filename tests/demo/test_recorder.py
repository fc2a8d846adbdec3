"""The recorder between a fake admin interface and a fake load."""

import io

import pytest
from rich.console import Console

from prediction_services.demo.admin import read_moment
from prediction_services.demo.picture import Picture, lines
from prediction_services.demo.recorder import Recorder
from prediction_services.demo.recording import Gate, Recording
from prediction_services.load import Answer, Trip

STATUS = {
    "stable": "v2", "candidate": "v3", "phase": "progressing", "step": 1, "steps": 5,
    "weight_bp": 0, "mirror_bp": 10_000, "evidence": {"capital": 0.25, "limit": 100.0},
    "remaining_s": 3.5,
    "samples": 40, "until_samples": 1_000,
    "gates": [
        {"gate": "agreement", "verdict": "pass", "sentence": "1 of 40 differ", "evidence": 0.9,
         "limit": 600.0, "candidate": {"bad": 1, "total": 40}, "stable": {"bad": 0, "total": 0}},
        {"gate": "slo", "verdict": "pending", "sentence": "waits"},
    ],
}  # fmt: skip

START = {
    "id": 7, "at": 1_004.5, "clock": 1.0, "route": "flight-delay", "rollout": "flight-delay-1",
    "revision": 3, "actor": "policy", "action": "start", "phase_from": "",
    "phase_to": "progressing", "step": 1, "weight_bp": 0,
    "reason": "rollout of v3 beside v2 started", "evidence": {},
}  # fmt: skip

METRICS = 'rampway_outcomes_total{{route="r",version="v2",role="stable",outcome="ok"}} {}\n'


class FakeAdmin:
    def __init__(self):
        self.status = None
        self.entries = []
        self.total = 0

    async def rollout(self):
        return self.status

    async def journal(self, since):
        return [entry for entry in self.entries if entry["id"] > since]

    async def metrics(self):
        self.total += 50
        return METRICS.format(self.total)


@pytest.fixture
def admin():
    return FakeAdmin()


@pytest.fixture
def recorder(admin):
    versions = {"v2": "stable", "v3": "better"}
    return Recorder(Recording(1_000.0, 200.0, 1, versions=versions), admin)


def answer(version="v2", *, latency_s=0.004, status=200, score=0.3, problem=None):
    return Answer("1-1", "user-1", Trip("UA1", None), latency_s, status, version, score, problem)


def test_a_status_becomes_a_moment():
    moment = read_moment(STATUS, 4.0)

    assert (moment.candidate, moment.mirror_bp, moment.evidence, moment.limit) == (
        "v3", 10_000, 0.25, 100.0,
    )  # fmt: skip
    assert moment.gate("agreement") == Gate(
        "agreement", "pass", 0.9, 600.0, 1, 40, "1 of 40 differ"
    )
    assert moment.gate("slo").evidence == 1.0
    assert moment.gate("nonesuch") is None


async def test_looks_bring_moments_and_every_entry_once(recorder, admin):
    await recorder.look()
    assert recorder.now is None, "no rollout yet"

    admin.status, admin.entries = STATUS, [START]
    await recorder.look()
    await recorder.look()

    assert recorder.now.candidate == "v3"
    assert len(recorder.recording.moments) == 2
    assert [(e.id, e.at_s) for e in recorder.recording.journal] == [(7, 4.5)]


async def test_scrapes_are_differences(recorder):
    await recorder.scrape()
    await recorder.scrape()
    await recorder.scrape()

    assert [(a.version, a.requests) for a in recorder.recording.attempts] == [("v2", 50)] * 2


def test_answers_are_counted_as_clients_saw_them(recorder):
    for seen in (
        answer(), answer(latency_s=0.008), answer("v3"),
        answer(status=500, score=None), answer(None, status=None, score=None, problem="reset"),
    ):  # fmt: skip
        recorder.on_answer(seen)
    recorder.finish({"sent": 5})

    by_version = {bin_.version: bin_ for bin_ in recorder.recording.served}
    assert {name: (b.answers, b.bad) for name, b in by_version.items()} == {
        "v2": (3, 1), "v3": (1, 0), "": (0, 1),
    }  # fmt: skip
    assert (by_version["v2"].p50_ms, by_version["v2"].p95_ms) == (4.0, 8.0)
    assert recorder.failed == 2
    assert recorder.answered("v2") == 3
    assert set(recorder.recording.last_sent_s) == {"v2", "v3"}


def test_the_last_request_of_a_version_is_known_by_when_it_was_sent(recorder):
    recorder.on_answer(answer("v3", latency_s=0.0))
    before = recorder.recording.last_sent_s["v3"]
    recorder.on_answer(answer("v3", latency_s=60.0))

    assert recorder.recording.last_sent_s["v3"] == before, "sent long ago, answered late"


async def test_a_recording_survives_its_file(recorder, admin, tmp_path):
    admin.status, admin.entries = STATUS, [START]
    await recorder.look()
    recorder.on_answer(answer())
    recorder.mark("edit", "policy edited", "routes: []")
    recorder.finish({"sent": 1})

    recorder.recording.save(tmp_path / "recording.json")

    assert Recording.read(tmp_path / "recording.json") == recorder.recording


class Script:
    act, title = 1, "A better model is promoted"


async def test_lines_tell_everything_once_where_there_is_no_terminal(recorder, admin):
    admin.status, admin.entries = STATUS, [START]
    await recorder.look()
    recorder.mark("fault", "v4 begins to fail")
    console = Console(file=io.StringIO(), width=300)
    picture = Picture(console, Script(), recorder)

    picture.flush_lines()
    picture.flush_lines()

    told = console.file.getvalue()
    assert told.count("rollout of v3 beside v2 started") == 1
    assert told.count("v4 begins to fail") == 1
    late = {**START, "id": 8, "at": 1_004.0, "reason": "found late"}
    admin.entries = [START, late]
    await recorder.look()
    picture.flush_lines()
    told = console.file.getvalue()
    assert told.count("found late") == told.count("v4 begins to fail") == 1
    assert [line.at_s for line in lines(recorder.recording)] == sorted(
        line.at_s for line in lines(recorder.recording)
    )


@pytest.mark.parametrize("width", [60, 100, 200])
async def test_the_picture_fits_the_terminal(recorder, admin, width):
    admin.status, admin.entries = STATUS, [START]
    await recorder.look()
    recorder.on_answer(answer())
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)

    console.print(Picture(console, Script(), recorder).frame())

    shown = console.file.getvalue()
    assert "A better model is promoted" in shown
    assert "v3 progressing, step 1 of 5 at 0 %, mirror 100 %" in shown.replace("\n", " ")
    assert max(len(line) for line in shown.splitlines()) <= width


async def test_the_picture_can_be_drawn_before_anything_happened(recorder):
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)

    console.print(Picture(console, Script(), recorder).frame())

    assert "clients so far: 0 answers, 0 failed" in console.file.getvalue()
