"""Verbs that need no router, the command itself, and how long it takes to start."""

from __future__ import annotations

import json
import re
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest

import router
from router.__main__ import app
from router.cli import VERBS
from router.cli.app import run_of
from router.config import load
from tests.cli.conftest import rampway
from tests.ports import free_port

GOOD = """
routes:
  - name: a
    match: {path: /*}
    versions:
      v1: {endpoints: [http://127.0.0.1:1]}
      v2: {endpoints: [http://127.0.0.1:2]}
    stable: v1
    rollout:
      candidate: v2
      strategy:
        canary:
          steps:
            - {mirror: 100%, until: {samples: 500}}
            - {weight: 1%, hold: 2m}
            - {approval: {deadline: 4h, then: abort}}
            - {weight: 50%, hold: 10m}
          bake: 30m
"""


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(GOOD)
    return path


def test_check_accepts(policy):
    ended = rampway("check", str(policy))

    assert ended.code == 0
    assert ended.out.startswith(f"{policy}: ok\n")


def test_check_tells_all_problems_with_their_place(policy):
    policy.write_text(GOOD.replace("hold: 2m", "hold: 2").replace("stable: v1", "stabel: v1"))

    ended = rampway("check", str(policy))
    listed = rampway("check", str(policy), "-o", "json")

    assert ended.code == 2
    assert f"{policy}:15:" in ended.out
    assert "stabel" in ended.out
    assert listed.code == 2
    assert {problem["line"] for problem in listed.json["problems"]} >= {8, 15}


def test_check_of_a_missing_file_is_exit_2(tmp_path):
    assert rampway("check", str(tmp_path / "none.yaml")).code == 2


def test_check_at_a_stated_rate_tells_what_the_gates_see(policy):
    ended = rampway("check", str(policy), "--rate", "50/s")
    listed = rampway("check", str(policy), "--rate", "3000/m", "--stable", "1%", "-o", "json")

    assert ended.code == 0
    assert f"{policy}: a, step 2: 1 % for 2m: sees 1.0 % -> " in ended.out
    assert ended.err == ""
    (first, second) = listed.json["sights"][str(policy)]
    assert (first["step"], first["weight_bp"], second["step"]) == (2, 100, 4)
    assert 1 < first["fastest_s"] < 10
    assert 0.05 < first["smallest_bad_rate"] < 0.2


def test_check_tells_the_same_time_in_warning_and_in_line(policy):
    """On sticky routes only bad answers bet, which takes longer."""
    policy.write_text(
        GOOD.replace("    stable: v1\n", "    sticky: {header: X-User}\n    stable: v1\n")
    )
    ended = rampway("check", str(policy), "--rate", "2/s").out

    warned = re.search(r"step 2 lasts .* is seen after (\S+) only", ended)
    told = re.search(r"step 2: .*a candidate that always fails after (\S+)", ended)
    assert warned[1] == told[1]


def test_check_says_what_no_test_can_tell_apart(policy, tmp_path):
    alone = rampway("check", str(policy), "--rate", "50/s", "--strict")
    text = GOOD.replace("[http://127.0.0.1:2]", "[http://127.0.0.1:2, http://127.0.0.1:3]")
    policy.write_text(text)
    paired = rampway("check", str(policy), "--rate", "50/s")

    assert alone.code == 0, "a note, no warning"
    assert "a: v2 has one endpoint: no gate can tell an incident there" in alone.out
    assert "has one endpoint" not in paired.out


def test_check_warns_of_steps_too_short_for_a_verdict_and_ends_well(policy):
    ended = rampway("check", str(policy), "--rate", "6/m")
    strict = rampway("check", str(policy), "--rate", "6/m", "--strict")

    assert ended.code == 0
    assert f"{policy}:15:" in ended.out
    assert "warning" in ended.out
    assert "even a candidate that always fails is seen after" in ended.out
    assert "hold it for" in ended.out
    assert strict.code == 2


@pytest.mark.parametrize(
    "arguments",
    [["--rate", "often"], ["--rate", "0/s"], ["--rate", "5/s", "--stable", "50%"],
     ["--rate", "5/s", "--stable", "0%"], ["--rate", "5/s", "--stable", "much"]],
)  # fmt: skip
def test_check_at_no_rate_is_misuse(policy, arguments):
    assert rampway("check", str(policy), *arguments).code == 2


def test_plan_shows_every_step(policy):
    ended = rampway("plan", str(policy))

    assert ended.code == 0
    for piece in ("a: v1 -> v2, canary", "100 %", "500 samples", "2m", "after 4h: abort", "30m",
                  "the candidate becomes stable; at least 42m in all"):  # fmt: skip
        assert piece in ended.out, piece
    assert len(rampway("plan", str(policy), "-o", "json").json["routes"]["a"]["steps"]) == 4
    assert rampway("plan", str(policy), "b").code == 2


def test_plan_of_an_invalid_policy_is_exit_2(policy):
    policy.write_text("routes: []")

    assert rampway("plan", str(policy)).code == 2


def test_diff_says_what_an_edit_means(policy, tmp_path):
    edited = tmp_path / "edited.yaml"
    edited.write_text(GOOD.replace("hold: 10m", "hold: 20m"))

    ended = rampway("diff", str(policy), str(edited))

    assert ended.code == 0
    assert "10m -> 20m" in ended.out
    assert rampway("diff", str(policy), str(policy)).out == ""
    assert len(rampway("diff", str(policy), str(edited), "-o", "json").json["changes"]) == 1
    assert rampway("diff", str(policy), str(tmp_path / "none.yaml")).code == 2


FLAGGER = """
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: podinfo}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: podinfo}
  service: {port: 9898}
  analysis: {interval: 1m, threshold: 5, maxWeight: 50, stepWeight: 10}
"""


def test_import_writes_a_policy_that_check_accepts(tmp_path):
    manifest = tmp_path / "canary.yaml"
    manifest.write_text(FLAGGER)

    ended = rampway("import", str(manifest))
    made = tmp_path / "policy.yaml"
    made.write_text(ended.out)

    assert ended.code == 0
    assert "podinfo" in ended.out
    assert rampway("check", str(made)).code == 0, ended.out
    assert rampway("import", str(manifest), "-o", "json").json["policy"] == ended.out
    assert rampway("import", str(made)).code == 2
    assert rampway("import", str(tmp_path / "none")).code == 2


SIMULATE = ("--stable", "1%", "--rate", "50/s", "--runs", "4", "--duration", "20m")


def test_simulate_rolls_a_bad_candidate_back(policy, tmp_path):
    policy.write_text(GOOD.replace("- {mirror: 100%, until: {samples: 500}}\n", "\n"))
    page = tmp_path / "page.html"

    ended = rampway("simulate", str(policy), *SIMULATE, "--candidate", "100%", "--html", str(page))
    again = rampway("simulate", str(policy), *SIMULATE, "--candidate", "100%", "-o", "json")

    assert ended.code == 0, ended.err
    assert "rolled back" in ended.out
    assert again.json["outcomes"]["rolled back"] == 1.0
    assert "<svg" in page.read_text()


def test_simulate_takes_traffic_from_an_access_log(policy, tmp_path):
    log = tmp_path / "access.log"
    lines = [f'{{"time": {i / 10}, "status": {500 if i % 50 == 0 else 200}}}' for i in range(200)]
    log.write_text("\n".join([*lines, "garbage"]))

    ended = rampway("simulate", str(policy), "--log", str(log), "--runs", "1", "--duration", "1m",
                    "-o", "json")  # fmt: skip

    assert ended.code == 0, ended.err
    assert ended.json["scenario"]["stable_rate"] == 0.02
    assert "1 line of" in ended.err


def test_simulate_draws_users_where_the_route_is_sticky(policy):
    policy.write_text(
        GOOD.replace("    stable: v1\n", "    sticky: {header: X-User}\n    stable: v1\n")
    )
    ended = rampway("simulate", str(policy), "--rate", "50/s", "--runs", "1", "--candidate", "100%",
                    "--latency", "100ms", "--users", "500")  # fmt: skip

    assert ended.code == 0, ended.err
    assert "500 users assigned" in ended.out
    assert "each user counted once" in ended.out or "guard" in ended.out
    assert "no gate of this policy sees latency" in ended.err


def test_simulate_takes_latency_from_an_access_log(policy, tmp_path):
    policy.write_text(
        GOOD.replace("- {mirror: 100%, until: {samples: 500}}\n", "\n") + "      gates: [latency]\n"
    )
    log = tmp_path / "access.log"
    log.write_text("\n".join(
        f'{{"time": {i / 50}, "status": 200, "seconds": {0.05 + i % 100 / 1000}}}'
        for i in range(2_000)
    ))  # fmt: skip

    ended = rampway("simulate", str(policy), "--log", str(log), "--runs", "1", "--slower", "3")

    assert ended.code == 0, ended.err
    assert "latency: as in the log, median 1" in ended.out or "median 99" in ended.out
    assert "runs: 1: rolled back 100 %" in ended.out
    assert "slower than" in ended.out


@pytest.mark.parametrize(
    "wrong",
    [["--rate", "fast"], ["--stable", "1"], ["--candidate", "120%"], ["--slower", "much"],
     ["--slower", "0"], ["--latency", "0"], ["--duration", "1"],
     ["--change-at", "24h"]],
)  # fmt: skip
def test_simulate_refuses_what_it_cannot_read_and_names_the_option(policy, wrong):
    ended = rampway("simulate", str(policy), *wrong)

    assert ended.code == 2
    assert wrong[0] in ended.err


def test_simulate_of_a_missing_log_is_exit_2(policy):
    assert "/nowhere" in rampway("simulate", str(policy), "--log", "/nowhere").err


def test_simulate_of_an_empty_log_names_it(policy):
    ended = rampway("simulate", str(policy), "--log", "/dev/null")

    assert ended.code == 2
    assert "/dev/null: expected at least two requests" in ended.err
    assert "not understood" not in ended.err


def test_replay_of_anything_else_says_so(tmp_path):
    for content in ("", '{"time": 1, "status": 200}\n'):
        (tmp_path / "log").write_text(content)
        ended = rampway("replay", str(tmp_path / "log"))

        assert ended.code == 2
        assert "expected a recording with decisions" in ended.err


def test_simulate_says_where_nobody_sees_latency(policy):
    ended = rampway("simulate", str(policy), "--runs", "1", "--latency", "100ms", "--slower", "3")

    assert "no gate of this policy sees latency" in ended.err


def test_schema_is_a_json_schema():
    schema = json.loads(rampway("schema").out)

    assert "routes" in schema["properties"]


def test_version():
    assert rampway("version").out.startswith("rampway ")
    told = rampway("version", "-o", "json").json
    assert "python" in told
    assert told["hot path"] == "pure Python", "a checkout is never compiled"


def test_doctor_finds_what_does_not_answer(policy):
    ended = rampway("doctor", str(policy), "--admin", "http://127.0.0.1:1")

    assert ended.code == 1
    assert "FAIL" in ended.out
    assert "http://127.0.0.1:1" in ended.out
    assert "python" in ended.out


@pytest.mark.parametrize("words", [["check"], ["diff"], ["diff", "a.yaml"], ["import"], ["replay"]])
def test_a_missing_argument_is_usage(words):
    ended = rampway(*words)

    assert (ended.code, "Missing argument" in ended.err) == (2, True)


def test_doctor_asks_probes_and_looks_for_the_router_where_the_policy_has_it(tmp_path):
    class Answering(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/ready" else 503)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Answering) as server, socket.socket() as taken:
        Thread(target=server.serve_forever, daemon=True).start()
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = taken.getsockname()[1]
        url = f"http://127.0.0.1:{server.server_port}"
        file = tmp_path / "policy.yaml"
        file.write_text(
            f"listen: 127.0.0.1:{listen}\nadmin: {{listen: '127.0.0.1:1'}}\n"
            f"store: sqlite:///{tmp_path}/r.db\n"
            "routes: [{name: a, stable: v1, versions: {"
            f"v1: {{endpoints: ['{url}'], health: {{path: /ready}}}}, "
            f"v2: {{endpoints: ['{url}'], health: {{path: /other}}}}}}}}]\n"
        )
        ended = rampway("doctor", str(file), "-o", "json")
        server.shutdown()

    found = {one["subject"]: (one["verdict"], one["text"]) for one in ended.json}
    assert ended.code == 1
    assert found["listen"][0] == "FAIL"
    assert f"127.0.0.1:{listen} is not to be had: Address already in use" in found["listen"][1]
    assert found["a v1 probe"] == ("ok", f"{url}/ready answers 200")
    assert found["a v2 probe"] == ("FAIL", f"{url}/other answers 503")
    assert "http://127.0.0.1:1" in found["router"][1]


def test_init_writes_a_policy_that_passes_check_and_never_over_another(tmp_path):
    file = tmp_path / "rampway.yaml"
    words = ("init", "http://127.0.0.1:9001", "http://127.0.0.1:9002", "--file", str(file))

    first, second = rampway(*words), rampway(*words)

    assert (first.code, second.code) == (0, 2)
    assert f"next: rampway serve {file}" in first.out
    assert "is there already" in second.err
    assert rampway("check", "--strict", str(file)).code == 0
    (route,) = load(file, {}).policy.routes
    assert [str(url) for url in route.versions["v2"].endpoints] == ["http://127.0.0.1:9002"]
    assert route.rollout.candidate == "v2"


def test_init_says_what_is_wrong_with_a_url():
    ended = rampway("init", "http://127.0.0.1:9001", "127.0.0.1:9002", "--file", "-")

    assert ended.code == 2
    assert "write http://127.0.0.1:9002" in ended.err


def test_help_needs_no_module_of_a_verb():
    script = (
        "import sys\nfrom router.__main__ import app\n"
        "try: app(['--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'pydantic', 'numpy', 'msgspec', 'yaml'} & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert "Write a commented policy" in ended.stdout
    assert ended.stdout.endswith("[]\n")


def test_the_version_is_an_option_too():
    assert rampway("--version").out == f"rampway {router.__version__}\n"


def test_check_reads_standard_input(policy):
    ended = subprocess.run(
        [sys.executable, "-m", "router", "check", "-"],
        input=policy.read_bytes().replace(b"stable:", b"stabel:"), capture_output=True, check=False,
    )  # fmt: skip

    assert ended.returncode == 2
    assert b"standard input:" in ended.stdout
    assert b"did you mean stable?" in ended.stdout


def test_doctor_looks_into_the_store(tmp_path):
    policy = tmp_path / "policy.yaml"
    store = tmp_path / "r.db"
    policy.write_text(
        f"store: sqlite:///{store}\nroutes: [{{name: r, stable: v1, "
        "versions: {v1: {endpoints: [http://127.0.0.1:1]}}}]\n"
    )

    def found():
        rows = rampway("doctor", str(policy), "--admin", "http://127.0.0.1:1", "-o", "json").json
        return next(row for row in rows if row["subject"] == "store")["text"]

    assert found().endswith("no store yet")
    with closing(sqlite3.connect(store)) as made:
        made.executescript("CREATE TABLE t (x);" + "INSERT INTO t VALUES (randomblob(900));" * 50)
    assert "whole" in found()
    whole = store.read_bytes()
    store.write_bytes(whole[:4_096] + b"\xff" * 8_192 + whole[12_288:])
    assert "damaged" in found()


def test_doctor_asks_the_queries_of_gates_once(tmp_path):
    """A gate can be tried without a rollout; what it would say is its own sentence."""
    answers = {
        "good": (200, b'{"status":"success","data":{"resultType":"scalar","result":[1,"0.99"]}}'),
        "low": (200, b'{"status":"success","data":{"resultType":"scalar","result":[1,"0.5"]}}'),
        "none": (200, b'{"status":"success","data":{"resultType":"vector","result":[]}}'),
        "wrong": (400, b"{}"),
    }

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self):
            (query,) = parse_qs(urlsplit(self.path).query)["query"]
            status, body = answers[query]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Nobody reads it."""

    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        gates = "".join(
            f"\n        - prometheus: {{name: {name}, url: '{url}', query: {name}, at_least: 0.9}}"
            for name in answers
        )
        file = tmp_path / "policy.yaml"
        file.write_text(f"{GOOD}      gates:{gates}\n")
        ended = rampway("doctor", str(file), "--admin", "http://127.0.0.1:1", "-o", "json")
        server.shutdown()

    found = {one["subject"]: (one["verdict"], one["text"]) for one in ended.json}
    assert found["a good"][0] == "ok"
    assert found["a low"] == (
        "warning",
        "measured 0.5; tolerated: at least 0.9; outside in 1 of 1 measurement, limit 0",
    )
    assert (found["a none"][0], found["a wrong"][0]) == ("warning", "FAIL")
    assert "without data" in found["a none"][1]
    assert "Prometheus answered 400" in found["a wrong"][1]


def test_doctor_of_a_running_router(router):
    ended = router.run("doctor", "-o", "json")

    assert ended.code == 0
    assert "healthy" in next(f["text"] for f in ended.json if f["subject"] == "router")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_a_function_with_help(verb):
    assert run_of(verb).__doc__
    ended = rampway(verb, "--help")
    assert ended.code == 0
    assert verb in ended.out


@pytest.mark.parametrize("arguments", [["lsit"], ["list", "--nope"], ["list", "-o", "xml"]])
def test_misuse_is_exit_2(arguments):
    assert rampway(*arguments).code == 2


def test_typos_get_a_hint():
    assert "did you mean 'status'" in rampway("sttus").err


def test_serve_is_a_verb_of_the_command():
    assert "serve" in app.list_commands(None)
    assert rampway("serve", "--help").code == 0


HEAVY = (
    "typer",
    "aiohttp",
    "structlog",
    "pydantic",
    "rich",
    "yaml",
    "asyncio",
    "router.admin",
)


def test_a_client_verb_imports_nothing_heavy(router):
    code = (
        "import sys\n"
        "from router.__main__ import app\n"
        "try: app(args=['status'], prog_name='rampway')\n"
        "except SystemExit: pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"RAMPWAY_ADMIN": router.server.url},
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout.splitlines()[-1] == "[]", done


def test_the_real_command_ends_with_its_code_and_starts_fast(router):
    command = [sys.executable, "-m", "router", "status", "--admin", router.server.url]
    took = []
    for _ in range(5):
        begin = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        took.append(time.perf_counter() - begin)

    print(f"rampway status: best of 5 {min(took) * 1000:.0f} ms")
    assert done.returncode == 0, done.stderr
    assert "flight-delay" in done.stdout


def test_output_cut_off_by_the_reader_is_no_error(router):
    done = subprocess.run(
        f"{sys.executable} -m router schema | head -c 10; exit ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1)


def _logged(tmp_path, rate):
    lines = []
    for i in range(8_000):
        version = "v2" if i % 10 == 0 and i > 600 else "v1"
        bad = version == "v2" and (i // 10) % 10 < rate * 10
        status = 503 if bad else 200
        lines.append(json.dumps({"ts": i / 50, "status": status, "variant": version}) + "\n")
    log = tmp_path / "access.log"
    log.write_text("".join(lines))
    return log


@pytest.mark.parametrize(
    ("rate", "code", "said"), [(0, 0, "pass: "), (0.5, 3, "fail: error_rate: failed: candidate")]
)
def test_judge_reads_an_access_log(policy, tmp_path, rate, code, said):
    log = _logged(tmp_path, rate)
    asked = ("judge", "--policy", str(policy), "--log", str(log), "--weight", "10%")

    ended = rampway(*asked)
    assert ended.code == code
    assert ended.out.startswith(said)
    assert "v2 739 requests" in ended.out
    assert json.loads(rampway(*asked, "-o", "json").out)["value"] == (1 if code == 0 else -1)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--weight", "ten"), "--weight: "),
        (("--fields", "color=x"), "--fields: expected KEY=NAME with at, status"),
        (("--route", "nosuch"), "name a route with a rollout; there is a"),
        (("--log", "/nosuch"), "/nosuch: No such file"),
        (("--serve", "127.0.0.1:999999"), "--serve 127.0.0.1:999999: "),
    ],
)
def test_judge_refuses_what_it_cannot_read(policy, tmp_path, more, said):
    log = () if "--log" in more else ("--log", str(_logged(tmp_path, 0)))
    ended = rampway("judge", "--policy", str(policy), *log, *more)

    assert ended.code == 2
    assert said in ended.err


def test_judge_answers_argo_and_flagger_while_it_reads(policy):
    port = free_port()
    command = [
        sys.executable, "-m", "router", "judge", "--policy", str(policy), "--weight", "10%",
        "--log", "-", "--serve", f"127.0.0.1:{port}",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert "answers at" in process.stderr.readline()
        assert _asked(port, "POST")[0] == 409, "nothing was read yet"
        for i in range(8_000):
            version = "v2" if i % 10 == 0 and i > 600 else "v1"
            line = {"ts": i / 50, "status": 200, "version": version}
            process.stdin.write(json.dumps(line) + "\n")
        process.stdin.flush()
        deadline = time.monotonic() + 60
        while _asked(port, "POST")[0] != 200:
            assert time.monotonic() < deadline, _asked(port, "GET")
        status, told = _asked(port, "GET")
        assert (status, told["verdict"], told["value"]) == (200, "pass", 1)
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stderr.close()


def _asked(port, method):
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    with closing(connection):
        connection.request(method, "/", body=b"" if method == "POST" else None)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def test_check_says_what_several_routers_and_copies_need(tmp_path):
    policy = tmp_path / "p.yaml"
    text = Path("configs/canary.yaml").read_text()
    policy.write_text(text)
    ended = rampway("check", str(policy), "--strict")
    assert ended.code == 0, "advice is no mistake"
    assert "flight-delay: several routers must hash keys alike" in ended.out
    assert 'sticky: {salt: "${file:salt}"}' in ended.out
    assert "copies go without credentials (authorization, cookie, x-api-key, ...)" in ended.out
    assert "mirroring: {keep_headers: [authorization]}" in ended.out

    (tmp_path / "salt").write_text("0123456789abcdef0123456789abcdef\n")
    assert "header: X-User-Id" in text
    text = text.replace("header: X-User-Id", 'header: X-User-Id, salt: "${file:salt}"')
    text = text.replace("candidate: v2", "candidate: v2\n      mirroring: {keep_headers: [cookie]}")
    policy.write_text(text)
    ended = rampway("check", str(policy))
    assert (ended.code, ended.out) == (0, f"{policy}: ok\n"), "who did it is not told"
