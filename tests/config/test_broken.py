"""Broken policies and what is said about them: place, expected, got, hint."""

from pathlib import Path

import pytest

from router.config import PolicyError, Severity, load, loads, render

BROKEN = sorted((Path(__file__).parent / "broken").glob("*.yaml"))


@pytest.mark.parametrize("file", BROKEN, ids=lambda file: file.stem)
def test_the_message_is_the_one_agreed(file, monkeypatch):
    monkeypatch.chdir(file.parent)

    with pytest.raises(PolicyError) as caught:
        load(file.name, {})

    assert file.with_suffix(".expected").read_text() == f"{caught.value}\n"


def test_there_are_enough_kinds():
    assert len(BROKEN) >= 16


@pytest.mark.parametrize("file", BROKEN, ids=lambda file: file.stem)
def test_every_problem_points_into_the_file(file):
    with pytest.raises(PolicyError) as caught:
        load(file, {})

    lines = file.read_text().splitlines() or [""]
    for problem in caught.value.problems:
        assert 1 <= problem.mark.line <= len(lines)
        assert 1 <= problem.mark.column <= len(lines[problem.mark.line - 1]) + 1
        assert problem.message.startswith("expected ")
        assert problem.headline().startswith(f"{file}:{problem.mark.line}:{problem.mark.column}: ")


ROUTE = """routes:
  - name: r
    versions: {v1: {endpoints: [http://127.0.0.1:9001]}, v2: {endpoints: [http://127.0.0.1:9002]}}
    stable: v1
"""


@pytest.mark.parametrize(
    ("added", "place", "said"),
    [
        ("errors: [5xx, 200]", "5:19", "expected a status from 400 to 599, 4xx or 5xx, got 200"),
        ("match: {path: v2/*}", "5:19", "expected a path that begins with /, got 'v2/*'"),
        ("match: {path: /a*b}", "5:19", "expected an exact path or one * at its end, got '/a*b'"),
        ("match: {host: API.example}", "5:19", "expected a lower-case host"),
        ("match: {methods: [post]}", "5:23", "expected an upper-case method such as POST"),
        (
            "match: {headers: {X-A: {regex: '('}}}",
            "5:28",
            "expected an expression that RE2 can",
        ),
        ("match: {headers: {X-A: {}}}", "5:28", "expected exactly one of exact, prefix"),
        ("match: {headers: {X A: b}}", "5:23", "expected a field name"),
        (
            "payload: open_inference",
            "5:14",
            "expected one of opaque, v1, tensorflow, open_inference_v2",
        ),
        ("sticky: {}", "5:13", "expected exactly one of header, cookie, json"),
        ("rules: [{match: {}, version: v9}]", "5:34", "expected one of the versions v1, v2"),
        ("buffer: 64", "5:13", "expected a size such as 512B, 64KiB or 20MB, got 64"),
        ("body_limit: 0.5B", "5:17", "expected a size in whole bytes, got '0.5B'"),
        ("timeouts: {connect: 0s}", "5:25", "expected more than 0s, got '0s'"),
        ("timeouts: {connect: 999d}", "5:25", "expected a duration of at most 366d"),
        ("timeouts: {connect: 0.1ms}", "5:25", "expected a duration in whole milliseconds"),
        ("timeouts:", "5:14", "expected a mapping, got nothing"),
        ("retry: [1]", "5:12", "expected a mapping, got a list"),
        ("retry: {attempts: 2.5}", "5:23", "expected a whole number, got the number 2.5"),
        ("retry: {attempts: true}", "5:23", "expected a whole number, got true"),
        (
            "sticky: {cookie: {secret: sixteen-characters, same_site: none}}",
            "5:22",
            "expected secure: true with same_site: none, got false",
        ),
        (
            "sticky: {cookie: {secret: sixteen-characters, name: __Host-, path: /v, secure: true}}",
            "5:22",
            "expected no domain and no path with the name __Host-",
        ),
        (
            "sticky: {cookie: {secret: sixteen-characters, path: '/;Secure'}}",
            "5:57",
            "expected a path such as /v2",
        ),
        (
            "sticky: {cookie: {secret: sixteen-characters, domain: 'a.org; x'}}",
            "5:59",
            "expected a name such as a.org",
        ),
        (
            (
                "rules: [{match: {headers: {X-Team: qa}}, version: v2}, "
                "{match: {headers: {X-Team: qa}, query: {a: b}}, version: v1}]"
            ),
            "5:60",
            "expected a reachable rule, but an earlier one takes all its requests",
        ),
        *(
            (
                f"match: {{{route}}}\n    rules: [{{version: v2, match: {{{rule}}}}}]",
                "6:34",
                "expected a rule for some requests of the route, but its match excludes them",
            )
            for route, rule in (
                ("path: /v2/*", "path: /v1/x"),
                ("methods: [POST]", "methods: [GET]"),
                ("host: a.org", "host: b.org"),
                ("headers: {X-Tier: gold}", "headers: {X-Tier: free}"),
            )
        ),
        ("pin: 1", "5:10", "expected true or false, got the number 1"),
        ("rollout: {candidate: v2}", "5:14", "expected strategy, which is required"),
        (
            "rollout: {candidate: v2, strategy: canary}",
            "5:40",
            "expected steps or a ramp, got neither",
        ),
        (
            "rollout: {candidate: v2, strategy: {shadow: {hold: 1h}}}",
            "5:49",
            "expected mirror, which is required, got nothing",
        ),
        (
            "rollout: {candidate: v2, strategy: {shadow: {mirror: 5%}}}",
            "5:49",
            "expected hold, until or approval, got none",
        ),
        (
            "rollout: {candidate: v2, strategy: {canary: {ramp: {linear: {step: 0.1%,hold: 1s}}}}}",
            "5:49",
            "expected a ramp of at most 200 steps, got 500",
        ),
        (
            (
                "rollout: {candidate: v2, strategy: {shadow: {mirror: 5%, hold: 1h}}, gates: "
                "[{prometheus: {url: 'http://h', query: up, at_most: 1, share: 5%}}]}"
            ),
            "5:143",
            "expected no share for prometheus, which holds no evidence",
        ),
        (
            (
                "rollout: {candidate: v2, strategy: {canary: {steps: [{weight: 5%}]}}, "
                "gates: [agreement]}"
            ),
            "5:83",
            "expected a step with mirror, which agreement compares, got none",
        ),
        (
            (
                "rollout: {candidate: v2, strategy: {canary: {steps: [{weight: 5%, hold: 2h}]}},"
                " max_duration: 1h}"
            ),
            "5:99",
            "expected at least the holds and the bake together (2h), got 1h",
        ),
        (
            "rollout: {candidate: v2, strategy: {blue_green: {mirror: 5%}}, promotion: {}}",
            "5:79",
            "expected a step with a weight between 0% and 100%",
        ),
        (
            (
                "rollout: {candidate: v2, strategy: {canary: {steps: [{weight: 5%}]}},"
                " gates: [guard, guard]}"
            ),
            "5:90",
            "expected a name of its own for a second gate of a kind, got 'guard'",
        ),
        (
            (
                "rollout: {candidate: v2, strategy: {blue_green: {mirror: 5%}}, "
                "rescue: {on: [5xx, schema]}}"
            ),
            "5:87",
            "expected a payload that answers are read by, for schema can never fail in opaque",
        ),
        (
            (
                "rollout: {candidate: v2, strategy: {blue_green: {mirror: 5%}}, "
                "rescue: {on: [503, body]}}"
            ),
            "5:87",
            "expected 5xx, a status from 400 to 599, timeout, connect or schema, got 'body'",
        ),
    ],
)
def test_values_and_rules(added, place, said):
    with pytest.raises(PolicyError) as caught:
        loads(f"{ROUTE}    {added}\n")

    (problem,) = [p for p in caught.value.problems if p.severity is Severity.ERROR]
    assert said in problem.message
    assert f"{problem.mark.line}:{problem.mark.column}" == place


@pytest.mark.parametrize(
    ("added", "said"),
    [
        (
            (
                "rollout: {candidate: v2, strategy: {canary: {steps: "
                "[{weight: 9%, hold: 1h}, {weight: 5%, hold: 1h}]}}}"
            ),
            "the weight falls from 9% to 5%",
        ),
        (
            "rollout: {candidate: v2, strategy: {canary: {steps: [{weight: 9%}], bake: 0s}}}",
            "a step at 9% without hold, until or approval ends at once",
        ),
        (
            (
                "rollout: {candidate: v2, strategy: {canary: {ramp: "
                "{linear: {step: 10%, hold: 0s}}}}}"
            ),
            "a step at 10% without hold, until or approval ends at once",
        ),
        (
            "rollout: {candidate: v2, strategy: {shadow: {mirror: 5%, hold: 1h}}, rescue: {}}",
            "rescue has nothing to do in a shadow",
        ),
        (
            (
                "rollout: {candidate: v2, strategy: {blue_green: {mirror: 5%}}, "
                "gates: [error_rate, guard]}"
            ),
            "error_rate can never be decided",
        ),
        (
            (
                "rollout: {candidate: v2, gates: [error_rate, latency], "
                "strategy: {canary: {steps: [{weight: 9%, hold: 1h}], bake: 5m}}}"
            ),
            "no gate can be decided at 100%, where the candidate is for 5m: error_rate, latency",
        ),
        (
            "rollout: {candidate: v2, strategy: {blue_green: {mirror: 5%}}, gates: []}",
            "nothing can take the candidate back",
        ),
    ],
)
def test_warnings_do_not_refuse(added, said):
    loaded = loads(f"{ROUTE}    {added}\n")

    (warning,) = loaded.warnings
    assert warning.severity is Severity.WARNING
    assert said in warning.message
    assert f": warning: {warning.path}" in render(loaded.warnings)


def test_an_a_a_test_is_a_warning_only():
    loaded = loads(ROUTE.replace("9002", "9001"))

    (warning,) = loaded.warnings

    assert warning.message == "http://127.0.0.1:9001 is also an endpoint of 'v1'"


def test_what_is_out_of_bounds_is_not_told_to_write_the_same_again():
    with pytest.raises(PolicyError) as caught:
        loads(ROUTE + "    feedback: {secret: a-secret-of-16-characters, expires: 1s}\n")
    (problem,) = caught.value.problems
    assert problem.message.startswith("expected at least 1m")
    assert not problem.hint
