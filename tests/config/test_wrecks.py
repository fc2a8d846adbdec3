"""Policies as people wreck them: the message names place, reason and fix, and the fix works."""

# ruff: noqa: E501 - rows of a table
import random

import pytest

from router.config import PolicyError, loads
from router.config.problems import Severity

POLICY = """listen: 127.0.0.1:8080
admin: {listen: "127.0.0.1:8081"}
routes:
  - name: prices
    match: {path: /predict}
    versions:
      v1: {endpoints: ["http://127.0.0.1:9001"]}
      v2: {endpoints: ["http://127.0.0.1:9002"]}
    stable: v1
    rollout:
      candidate: v2
      strategy:
        canary:
          steps:
            - {weight: 5%, hold: 2m}
            - {weight: 25%, hold: 5m}
          bake: 10m
      gates: [error_rate, guard]
"""
_V1 = '"http://127.0.0.1:9001"'
_V2 = '"http://127.0.0.1:9002"'
_STEP = "{weight: 5%, hold: 2m}"
_CANARY = POLICY[POLICY.index("        canary:") : POLICY.index("      gates")]
_SECOND = (
    "  - {name: b, match: {path: /predict}, stable: v1, versions: {v1: {endpoints: [" + _V1 + "]}}}"
)

# name: (what was right, what somebody wrote, place, reason, what the hint says, the hint followed)
WRECKS = {
    "tab": ("    match:", "\tmatch:", "5:1", "got a tab", "replace it by spaces", "    match:"),
    "no-break spaces": (
        "    stable: v1", "\u00a0\u00a0\u00a0 stable: v1", "9:1",
        "got the character U+00A0 (no-break space)", "replace it by spaces", "    stable: v1",
    ),
    "one blank too few": (
        "    stable", "   stable", "9:4", "expected 0, 2, 4 or 6 spaces before 'stable: v1', got 3",
        "4 spaces, as in line 6", "    stable",
    ),
    "one blank too many": (
        "      candidate", "       candidate", "12:7",
        "expected 0, 2, 4 or 7 spaces before 'strategy:', got 6", "7 spaces, as in line 11",
        "      candidate",
    ),
    "indented under a value": (
        "    stable: v1\n", "    stable: v1\n      pin: true\n", "10:7",
        "expected 0, 2 or 4 spaces before 'pin: true', got 6", "4 spaces, as in line 9",
        "    stable: v1\n    pin: true\n",
    ),
    "unclosed brace": (
        "/predict}", "/predict", "5:12", "expected } to close this {, got line 6", "add }", "/predict}",
    ),
    "unclosed bracket": (
        '9002"]}\n', '9002"\n', "8:23", "expected ] to close this [", "add ]", '9002"]}\n',
    ),
    "unclosed quote": (
        _V1, '"http://127.0.0.1:9001', "7:24", 'expected " to close this " in its own line',
        'add " where the text ends', _V1,
    ),
    "unclosed single quote": (
        "stable: v1", "stable: 'v1", "9:13", "expected ' to close this '", "add '", "stable: 'v1'",
    ),
    "one bracket too many": (
        '9001"]}', '9001"]]}', "7:11", "expected } to close this {, got ]", "add } where the value ends", '9001"]}',
    ),
    "text behind a quoted value": (
        "name: prices", 'name: "prices" de', "4:20", "expected nothing behind the value, got 'de'",
        "put the whole value in one pair of quotes", 'name: "prices-de"',
    ),
    "colon in a value": (
        "/predict}", "/predict}\n    payload: json: v1", "6:18", "got a second colon",
        'put it in quotes: "json: v1"', "/predict}\n    payload: json",
    ),
    "no blank behind a colon": (
        "    stable: v1", "    stable:v1", "9:5", "expected a key, a colon and a blank, got 'stable:v1'",
        "write stable: v1", "    stable: v1",
    ),
    "key without a value": (
        "    stable: v1", "    stable", "9:5", "expected a key, a colon and a blank, got 'stable'",
        "write stable: ...", "    stable: v1",
    ),
    "reserved first character": (
        "name: prices", "name: @prices", "4:11", "expected a value that does not begin with @",
        'put it in quotes: "@prices"', "name: prices",
    ),
    "reference in braces": (
        "weight: 5%", "weight: ${W:-5}%", "15:24", "expected quotes around a reference",
        'put it in quotes: "${W:-5}%"', 'weight: "${W:-5}%"',
    ),
    "list in the line of its key": (
        "[error_rate, guard]", "- error_rate", "18:14", "expected a list to begin in a line of its own",
        "or write [one, two]", "[error_rate]",
    ),
    "comma forgotten": (
        "5%, hold", "5% hold", "15:31", "expected a comma between two entries", "add a comma", "5%, hold",
    ),
    "dash forgotten": (
        "            - {weight: 25%", "            {weight: 25%", "16:13", "expected - before the next entry",
        "- {weight: 25%, hold: 5m}", "            - {weight: 25%",
    ),
    "first dash forgotten": (
        "  - name", "    name", "4:5", "expected a list, got a mapping", "begin each route with - name:",
        "  - name",
    ),
    "routes as a mapping": (
        "  - name: prices", "  prices:\n    name: prices", "4:3", "expected a list, got a mapping",
        "begin each route with - name:", "  - name: prices",
    ),
    "key twice": (
        "    stable: v1", "    stable: v1\n    stable: v2", "10:5", "a second 'stable'",
        "the first is in line 9", "    stable: v1",
    ),
    "merge key": (
        "v2: {", "v2: {<<: {}, ", "8:12", "got the merge key <<", "write the keys out", "v2: {",
    ),
    "alias of nothing": (
        "/predict}", "*p}", "5:19", "expected an anchor &p above", "write the value out", "/predict}",
    ),
    "tag": (
        "prices", "!!python/name:os.system x", "4:11", "expected a plain value, got the tag", "remove it",
        "prices",
    ),
    "second document": (
        "  - name: prices", "---\n  - name: prices", "4:1", "expected one document, got a second one",
        "remove the line", "  - name: prices",
    ),
    "list at the top": (
        POLICY, "- listen: 127.0.0.1:8080\n", "1:1",
        "expected a mapping with keys such as listen and routes, got a list", "begin with routes:", POLICY,
    ),
    "nothing": (POLICY, "", "1:1", "got nothing", "begin with routes:", POLICY),
    "routes without any": (
        POLICY[POLICY.index("routes:") :], "routes:\n", "3:8", "expected a list, got nothing",
        "write at least one route", POLICY[POLICY.index("routes:") :],
    ),
    "misspelt key at the top": (
        "routes:", "route:", "3:1", "expected a known key, got 'route'", "did you mean routes?", "routes:",
    ),
    "misspelt key of a route": (
        "    stable", "    stabel", "9:5", "got 'stabel'", "did you mean stable?", "    stable",
    ),
    "key in camel case": (
        "      gates:", "      maxDuration: 3d\n      gates:", "18:7", "got 'maxDuration'",
        "did you mean max_duration?", "      max_duration: 3d\n      gates:",
    ),
    "misspelt key of a step": ("hold: 2m", "holds: 2m", "15:28", "got 'holds'", "mean hold?", "hold: 2m"),
    "misspelt strategy": ("canary:", "canery:", "13:9", "got 'canery'", "did you mean canary?", "canary:"),
    "misspelt gate": (
        "[error_rate", "[errors_rate", "18:15", "expected a gate", "did you mean error_rate?", "[error_rate",
    ),
    "Argo's prefix": (
        "{path: /predict}", "{prefix: /predict}", "5:13", "expected a known key, got 'prefix'",
        "known here: body, cookies, headers, host, methods, path, query", "{path: /predict*}",
    ),
    "weight without a unit": (
        "weight: 5%", "weight: 5", "15:24", "expected a share such as 5%", "add the unit: 5%", "weight: 5%",
    ),
    "weight as a fraction": (
        "weight: 5%", "weight: 0.05", "15:24", "expected a share", "5% for a part of 0.05, or 0.05%",
        "weight: 5%",
    ),
    "weight in words": (
        "weight: 5%", "weight: 5 percent", "15:24", "expected a share", "write 5%", "weight: 5%",
    ),
    "weight with a comma": (
        "weight: 5%", 'weight: "2,5%"', "15:24", "expected a share", "write 2.5%", "weight: 2.5%",
    ),
    "weight above all": (
        "weight: 25%", "weight: 150%", "16:24", "expected a share of at most 100%", "write at most 100%",
        "weight: 100%",
    ),
    "hold without a unit": (
        "hold: 2m", "hold: 120", "15:34", "expected a duration", "add a unit: 120s or 120m", "hold: 120s",
    ),
    "hold as a word": ("hold: 2m", "hold: 2min", "15:34", "expected a duration", "write 2m", "hold: 2m"),
    "hold in capitals": ("hold: 2m", "hold: 2M", "15:34", "expected a duration", "write 2m", "hold: 2m"),
    "hold with a blank": (
        "hold: 2m", "hold: 2 hours", "15:34", "expected a duration", "write 2h", "hold: 2h",
    ),
    "size as in Kubernetes": (
        "    stable: v1", "    stable: v1\n    buffer: 64Ki", "10:13", "expected a size", "write 64KiB",
        "    stable: v1\n    buffer: 64KiB",
    ),
    "size without a unit": (
        "    stable: v1", "    stable: v1\n    buffer: 64", "10:13", "expected a size",
        "add a unit: 64KiB or 64B", "    stable: v1\n    buffer: 64KiB",
    ),
    "yes": (
        "    stable: v1", "    stable: v1\n    pin: yes", "10:10", "expected true or false, got 'yes'",
        "write true", "    stable: v1\n    pin: true",
    ),
    "true for a mapping": (
        "      gates:", "      rescue: true\n      gates:", "18:15", "expected a mapping, got true",
        "write rescue: {} to have its defaults", "      rescue: {}\n      gates:",
    ),
    "number as a version": (
        "    stable: v1", "    stable: 1.10", "9:13", "expected text, got the number 1.10",
        'put it in quotes: "1.10"', "    stable: v1",
    ),
    "text for a list": (
        "[error_rate, guard]", "guard", "18:14", "expected a list, got 'guard'",
        "write it as a list: [guard]", "[guard]",
    ),
    "endpoint without a scheme": (
        _V1, '"127.0.0.1:9001"', "7:24", "expected an endpoint such as", "write http://127.0.0.1:9001", _V1,
    ),
    "endpoint of a host only": (
        _V1, "localhost:9001", "7:24", "expected an endpoint", "write http://localhost:9001",
        "http://localhost:9001",
    ),
    "endpoint with a path": (
        _V1, '"http://127.0.0.1:9001/v1"', "7:24", "without path", "is forwarded as it is", _V1,
    ),
    "curly quotes": (
        _V1, "\u201chttp://127.0.0.1:9001\u201d", "7:24", "expected an endpoint",
        f"write straight quotes: {_V1}", _V1,
    ),
    "listen: port": (
        "listen: 127.0.0.1:8080", "listen: 8080", "1:9", "expected text", "write 127.0.0.1:8080, or 0.0.0.0",
        "listen: 127.0.0.1:8080",
    ),
    "listen: :port": (
        "listen: 127.0.0.1:8080", "listen: :8080", "1:9", "expected host:port", "write 127.0.0.1:8080",
        "listen: 127.0.0.1:8080",
    ),
    "one port for both": (
        "8081", "8080", "2:17", "expected another address than listen", "for example 127.0.0.1:8081", "8081",
    ),
    "public admin": (
        "127.0.0.1:8081", "0.0.0.0:8081", "2:8", "expected tokens and tls", "listen on 127.0.0.1",
        "127.0.0.1:8081",
    ),
    "path without a slash": (
        "/predict}", "predict}", "5:19", "expected a path that begins with /", "write /predict", "/predict}",
    ),
    "route behind one that takes all": (
        "[error_rate, guard]\n", f"[error_rate, guard]\n{_SECOND}\n", "19:22", "expected a reachable route",
        "make that one narrower",
        f"[error_rate, guard]\n{_SECOND.replace('/predict', '/other')}\n",
    ),
    "stable nobody declared": (
        "stable: v1", "stable: v9", "9:13", "expected one of the versions v1, v2, got 'v9'",
        "add v9 under versions", "stable: v1",
    ),
    "stable is candidate": (
        "candidate: v2", "candidate: v1", "11:18", "expected another version than stable", "A/A test",
        "candidate: v2",
    ),
    "no strategy": (
        f"      strategy:\n{_CANARY}", "", "11:7", "expected strategy, which is required",
        "strategy: {canary: {steps: [{weight: 5%, hold: 10m}]}}",
        "      strategy: {canary: {steps: [{weight: 5%, hold: 10m}]}}\n",
    ),
    "two strategies": (
        "          bake: 10m", "          bake: 10m\n        blue_green: {}", "13:9",
        "expected exactly one strategy", "keep one of canary, blue_green", "          bake: 10m",
    ),
    "a gate twice": (
        "guard]", "error_rate]", "18:27", "expected a name of its own for a second gate",
        "write name: error_rate-2", "error_rate: {name: error_rate-2}]",
    ),
    "variable nobody set": (
        _V1, '"http://${MODEL_HOST}:9001"', "7:24", "expected the environment variable MODEL_HOST",
        "write ${MODEL_HOST:-default}", '"http://${MODEL_HOST:-localhost}:9001"',
    ),
    "a share finer than they are": (
        "weight: 5%", "weight: 0.005%", "15:24", "expected a share in steps of 0.01%", "", "weight: 0.01%",
    ),
    "file that is not there": (
        "admin: {", 'admin: {tokens: [{name: a, role: admin, token: "${file:none.txt}"}], ', "2:48",
        "expected the readable file none.txt", "create it, or correct its name", "admin: {",
    ),
}  # fmt: skip


def applied(name, column):
    right, *_ = row = WRECKS[name]
    assert right in POLICY
    return POLICY.replace(right, row[column], 1)


@pytest.mark.parametrize("name", WRECKS)
def test_place_reason_and_fix_are_told(name):
    with pytest.raises(PolicyError) as caught:
        loads(applied(name, 1), environment={})

    _, _, place, reason, hint, _ = WRECKS[name]
    (problem,) = caught.value.problems
    assert problem.severity is Severity.ERROR
    assert f"{problem.mark.line}:{problem.mark.column}" == place
    assert problem.message.startswith("expected ")
    assert reason in problem.message
    assert hint in problem.hint


@pytest.mark.parametrize("name", WRECKS)
def test_the_fix_passes_when_applied(name):
    loads(applied(name, 5), environment={})


def test_there_are_sixty_of_them_and_the_unwrecked_policy_passes():
    assert len(WRECKS) >= 60
    loads(POLICY, environment={})


@pytest.mark.parametrize(
    ("data", "said", "hint"),
    [
        (
            POLICY.replace("prices", "pr\u00e9ces").encode("latin-1"),
            "got the byte 0xe9",
            "as UTF-8",
        ),
        (POLICY.encode("utf-16"), "got the byte 0xff", "as UTF-8"),
        (b"# " + b"x" * 2_000_000, "at most 1,000,000 bytes", "is it a policy?"),
    ],
)
def test_what_is_no_text_of_ours_has_a_hint_too(data, said, hint):
    with pytest.raises(PolicyError) as caught:
        loads(data, environment={})

    (problem,) = caught.value.problems
    assert said in problem.message
    assert hint in problem.hint


@pytest.mark.parametrize("seed", range(4))
def test_a_slip_of_one_character_anywhere_is_a_problem_with_a_place(seed):
    slips = random.Random(seed)
    lines = POLICY.count("\n") + 2
    for _ in range(150):
        at = slips.randrange(len(POLICY))
        typed = slips.choice(["", *"{}[]:,-'\"#&*!|>%@ \t\n?ax\u00a0"])
        policy = POLICY[:at] + typed + POLICY[at + slips.randrange(2) :]
        try:
            loads(policy, environment={})
        except PolicyError as error:
            for problem in error.problems:
                assert problem.message.startswith("expected "), policy
                assert 1 <= problem.mark.line <= lines, policy


def test_shares_are_taken_as_they_are_shown():
    loads(POLICY.replace("weight: 5%", 'weight: "5 %"'), environment={})
