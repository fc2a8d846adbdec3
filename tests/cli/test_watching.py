"""Verbs that look: what they print, as text and as JSON, and how they end."""

from __future__ import annotations

import io
import threading
import time

import pytest

from router.cli import history
from router.core.rollout.events import Action, Pause
from tests.admin.fake_controller import SENTENCE
from tests.cli.conftest import rampway
from tests.cli.told import rollout, route

LINE = SENTENCE.rpartition("; ")[0]
"""The same without the evidence."""
BAD = {"action": Action.ROLLBACK, "sentence": SENTENCE}


def test_list_has_a_line_for_every_route(router):
    ended = router.run("list")

    assert ended.code == 0
    assert ended.out.splitlines()[0].startswith("ROUTE")
    canary, plain = ended.out.splitlines()[1:]
    assert canary.split() == [
        "flight-delay", "canary", "Progressing", "progressing", "v1", "v2", "1", "%", "1",
    ]  # fmt: skip
    assert plain.split()[:4] == ["churn", "-", "Healthy", "-"]
    assert [r["name"] for r in router.run("list", "-o", "json").json["routes"]] == [
        "flight-delay", "churn",
    ]  # fmt: skip


def test_get_shows_versions_gates_and_decisions(router):
    ended = router.run("get", "flight-delay")

    assert ended.code == 0
    for piece in ("progressing, step 1 of 2, 1 % on v2", "waits for 50s", SENTENCE, "80 ms",
                  "candidate 4 of 57 (7.0 %)", "stable 11 of 1,083 (1.0 %)", "limit 100 : 1",
                  "last decisions", "rollout of v2 beside v1 started"):  # fmt: skip
        assert piece in ended.out, piece
    assert router.run("get", "flight-delay", "-o", "json").json["rollout"]["candidate"] == "v2"


def test_get_of_a_route_without_a_rollout(router):
    assert "no rollout" in router.run("get", "churn").out


def test_the_only_route_need_not_be_named(router, monkeypatch):
    assert router.run("get").code == 2
    assert "name a route: flight-delay, churn" in router.run("get").err

    everything = router.controller.summaries()
    monkeypatch.setattr(router.controller, "summaries", lambda: everything[:1])

    assert "flight-delay" in router.run("get").out


def test_why_prints_sentence_counts_evidence_limit_time_and_actor(router):
    router.observe(**BAD)

    ended = router.run("why", "flight-delay")

    assert ended.code == 0
    line, numbers = ended.out.splitlines()[:2]
    assert line.startswith("v2 was taken back: ")
    assert " : 1" not in line
    assert numbers.strip() == SENTENCE
    for piece in ("rolled_back", "by router", "evidence 1.4 : 1, limit 100 : 1", "revision 2",
                  "candidate 4 of 57", "1970-01-01"):  # fmt: skip
        assert piece in ended.out, piece


@pytest.mark.parametrize("at", ["12.5", "2026-11-21T12:00", "2026-11-21T12:00:00+01:00"])
def test_why_takes_a_time(router, at):
    assert router.run("why", "flight-delay", "--at", at).code == 0


def test_why_refuses_what_is_no_time(router):
    ended = router.run("why", "flight-delay", "--at", "yesterday")

    assert (ended.code, "expected a time" in ended.err) == (2, True)


def test_history_is_chronological(router):
    router.observe(**BAD)

    ended = router.run("history", "flight-delay")
    entries = router.run("history", "-o", "json", "--limit", "1").json["entries"]

    assert ended.out.splitlines()[-1].endswith(f"router  {LINE}")
    assert [entry["id"] for entry in entries] == [2]
    assert entries[0]["reason"] == SENTENCE, "the numbers are there for programs, and in `why`"


@pytest.mark.parametrize("output", ["table", "json"])
def test_history_goes_on_with_what_comes(router, monkeypatch, output):
    looks = iter([lambda: None, lambda: router.observe(**BAD)])

    def between(seconds):
        assert seconds == history.FOLLOW_S
        next(looks, ended)()

    def ended():
        raise KeyboardInterrupt

    monkeypatch.setattr(history.time, "sleep", between)
    before = len(router.run("history", "flight-delay").out.splitlines())
    lines = router.run("history", "flight-delay", "-f", "-o", output).out.splitlines()
    assert (LINE if output == "table" else SENTENCE) in lines[-1]
    assert len(lines) == (before + 1 if output == "table" else 2)


def test_whois(router):
    ended = router.run("whois", "user-17", "--route", "flight-delay")

    assert "user-17 gets v1" in ended.out


def test_status_of_all_routes_ends_by_the_worst(router):
    assert router.run("status").code == 0
    router.observe(**BAD)

    ended = router.run("status")

    assert (ended.code, "Degraded" in ended.out) == (3, True)


def _later(router, *acts) -> threading.Thread:
    """Carry out ``acts`` one after the other, once somebody is listening to the stream."""

    def run() -> None:
        for act in acts:
            deadline = time.monotonic() + 30
            while not router.server._hub.listeners and time.monotonic() < deadline:
                time.sleep(0.01)
            act()
            time.sleep(0.1)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_status_prints_every_change_once_and_ends_degraded(router):
    acts = _later(router, lambda: router.observe(samples=1), lambda: router.observe(**BAD))

    ended = router.run("status", "flight-delay", "--timeout", "60s")

    acts.join()
    lines = ended.out.splitlines()
    assert ended.code == 3
    assert [line.partition(" - ")[0] for line in lines] == ["Progressing", "Degraded"]
    assert lines[-1].endswith(f": v2 was taken back: {LINE} (1970-01-01 00:16:41 +0000)")


def test_status_ends_with_0_when_the_rollout_completes(router):
    def finish() -> None:
        router.controller.time = 1000.0
        for _ in range(3):
            router.observe(samples=1)
            router.controller.time += 1000.0

    acts = _later(router, finish)

    ended = router.run("status", "flight-delay", "--timeout", "60s")

    acts.join()
    assert ended.code == 0
    assert ended.out.splitlines()[-1].startswith("Healthy - ")


def test_status_runs_out_of_time(router):
    ended = router.run("status", "flight-delay", "-w", "--timeout", "200ms")

    assert (ended.code, "in time" in ended.err) == (4, True)


def test_status_once(router):
    assert router.run("status", "flight-delay", "--no-watch").code == 0
    router.observe(**BAD)
    assert router.run("status", "flight-delay", "--no-watch").code == 3


@pytest.mark.parametrize(
    ("goal", "act", "code"),
    [("degraded", BAD, 0), ("rolled_back", BAD, 0), ("healthy", BAD, 3), ("paused", None, 4)],
)
def test_wait(router, goal, act, code):
    acts = _later(router, *([lambda: router.observe(**act)] if act else []))

    within = "30s" if act else "1s"
    ended = router.run("wait", "flight-delay", "--for", goal, "--timeout", within)

    acts.join()
    assert ended.code == code, ended


def test_wait_is_over_at_once_when_it_is_so_already(router):
    router.call(router.controller.command("flight-delay", Pause("a")))

    assert router.run("wait", "flight-delay", "--for", "paused").code == 0


def test_wait_refuses_unknown_goals_and_times(router):
    assert router.run("wait", "flight-delay", "--for", "glory").code == 2
    assert router.run("wait", "flight-delay", "--timeout", "soon").code == 2


def test_get_watch_without_a_terminal_prints_lines(router, monkeypatch):
    monkeypatch.setattr("router.cli.get.follow", lambda *_: iter([rollout()]))

    assert router.run("get", "flight-delay", "-w").out.startswith("Progressing - flight-delay")


def test_the_live_picture_has_everything(router):
    from rich.console import Console

    from router.cli.live import Picture

    entries = list(router.controller.entries)
    picture = Picture("flight-delay", route(), entries)
    picture.hear(rollout())
    console = Console(record=True, width=160, file=io.StringIO())
    console.print(picture.render())
    text = console.export_text()

    for piece in ("flight-delay  Progressing", "next step in 50s", "v2", "candidate", "1 %",
                  "error_rate", "pass", "evidence 143 : 1", "router: rollout of v2"):  # fmt: skip
        assert piece in text, piece


EXPERIMENT = {
    "shares_bp": {"v1": 5_000, "v2": 3_000, "v3": 2_000},
    "waits_for": "frozen by ann: black friday",
    "draining": {"v0": 3},
    "feedback": {"v2": {"right": 40, "wrong": 2, "rewards": 4, "mean_reward": 0.25}},
    "bandit": {"every_s": 60, "floor_bp": 100, "rewards": {}, "warning": "no fair comparison"},
}
TOLD = (
    "by ann: black friday",
    "3 requests in flight on v0, which gets no new ones",
    "labels of v2: 40 right, 2 wrong, 4 rewards of 0.25 on average",
    "bandit: no fair comparison",
)


def test_what_not_every_rollout_has_is_told_where_there_is_some(router, monkeypatch):
    plain, known = router.controller.plain_rollout, router.controller.versions
    third = known()["v1"] | {"requests": 0, "p50_s": 0.0, "p99_s": 0.0}
    monkeypatch.setattr(router.controller, "plain_rollout", lambda name: plain(name) | EXPERIMENT)
    monkeypatch.setattr(router.controller, "versions", lambda: known() | {"v3": third})

    out = router.run("get", "flight-delay").out

    for piece in TOLD:
        assert piece in out
    shares = {line.split()[0]: line for line in out.splitlines() if line.startswith("v")}
    assert ["50 %" in shares["v1"], "30 %" in shares["v2"], "20 %" in shares["v3"]] == [True] * 3
    assert "waits for 50s and the freeze by ann" in out
    assert live_text(router, monkeypatch).count("frozen by ann") == 1


def live_text(router, monkeypatch):
    from rich.console import Console

    from router.cli.live import Picture

    picture = Picture("flight-delay", router.controller.route("flight-delay"), [])
    picture.hear(rollout(**EXPERIMENT))
    console = Console(record=True, width=400, file=io.StringIO())
    console.print(picture.render())
    text = console.export_text()
    assert all(piece in text for piece in TOLD)
    return text


def test_a_frozen_route_without_a_rollout_says_so(router, monkeypatch):
    plain = router.controller.plain_route
    said = {"frozen": "frozen by ann"}
    monkeypatch.setattr(router.controller, "plain_route", lambda name: plain(name) | said)

    assert "frozen by ann" in router.run("get", "churn").out


def test_no_router_is_exit_6():
    ended = rampway("list", "--admin", "http://127.0.0.1:1")

    assert (ended.code, "no router answers" in ended.err) == (6, True)
    assert rampway("status", "x", "--admin", "http://127.0.0.1:1").code == 6


def test_something_else_than_a_router_is_exit_6():
    import http.server

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.handle_request, daemon=True).start()

    ended = rampway("list", "--admin", f"http://127.0.0.1:{server.server_port}")

    server.server_close()
    assert (ended.code, "is no router" in ended.err) == (6, True)


@pytest.mark.parametrize("url", ["ftp://x", "http://", "//"])
def test_a_wrong_url_is_usage(url):
    assert rampway("list", "--admin", url).code == 2


def test_unknown_routes_are_usage(router):
    for verb in ("get", "why", "status", "wait", "pause"):
        assert router.run(verb, "nope").code == 2, verb
    assert router.run("why", "churn").code == 2
