"""Policy types: endpoints, matches, plans, and what they promise."""

import sys
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from router.config import load
from router.core.policy import Match, Policy, RolloutPolicy, parse_endpoint, refusal
from router.core.policy.route import Route, StickyCookie
from router.core.policy.rules import covers, findings
from router.core.rollout.plan import Approval, Default, Ending, Plan, Step
from router.core.spec import Later, import_all
from router.core.strategies import STRATEGIES


def rollout(strategy, **more):
    return RolloutPolicy.model_validate({"candidate": "v2", "strategy": strategy, **more})


def weights(strategy):
    return [step.weight_bp for step in rollout(strategy).plan().steps]


@pytest.mark.parametrize(
    ("text", "host", "port", "tls"),
    [
        ("http://127.0.0.1:9001", "127.0.0.1", 9001, False),
        ("https://models.example.org:443", "models.example.org", 443, True),
        ("http://[::1]:80", "::1", 80, False),
        ("http://model_v2:8080", "model_v2", 8080, False),
        ("http://10.1.2.3:1", "10.1.2.3", 1, False),
    ],
)
def test_endpoints(text, host, port, tls):
    found = parse_endpoint(text)

    assert (found.host, found.port, found.tls) == (host, port, tls)
    assert str(found) == text


@pytest.mark.parametrize(
    "text",
    [
        "http://user:password@127.0.0.1:80",
        "http://127.0.0.1@evil.example:80",
        "http://127.0.0.1:80/",
        "http://127.0.0.1:80/path",
        "http://127.0.0.1:80#x",
        "http://127.0.0.1:80?x",
        "http://127.0.0.1",
        "http://127.0.0.1:0",
        "http://127.0.0.1:65536",
        "http://2130706433:80",
        "http://0x7f000001:80",
        "http://0x7f.1:80",
        "http://127.1:80",
        "http://0177.0.0.1:80",
        "http://127.0.0.01:80",
        "http://1.2.3.4.5:80",
        "http://[::ffff:127.0.0.1]:80",
        "http://[0:0:0:0:0:0:0:1]:80",
        "http://[fe80::1%25eth0]:80",
        "http://[fe80::1]:80",
        "http://169.254.169.254:80",
        "http://169.254.1.1:80",
        "http://100.100.100.200:80",
        "http://[fd00:ec2::254]:80",
        "http://metadata.google.internal:80",
        "http://METADATA.google.internal.:80",
        "http://0.0.0.0:80",
        "http://224.0.0.1:80",
        "http://255.255.255.255:80",
        "http://exa mple:80",
        "http://127\u30020\u30020\u30021:80",
        "http://\uff11\uff12\uff17.0.0.1:80",
        "ftp://127.0.0.1:80",
        "file:///etc/passwd",
        "127.0.0.1:80",
        "http://:80",
        "http://-a:80",
        "",
        80,
        None,
    ],
)
def test_no_endpoints(text):
    with pytest.raises(ValueError, match="expected "):
        parse_endpoint(text)


def test_resolved_addresses_are_asked_again():
    assert refusal(ip_address("169.254.169.254")) == "a cloud's metadata service"
    assert refusal(ip_address("::ffff:169.254.169.254")) == "a cloud's metadata service"
    assert refusal(ip_address("fe80::1")) == "a link-local address"
    assert refusal(ip_address("10.0.0.1")) is None


@pytest.mark.parametrize(
    ("first", "second", "covered"),
    [
        ({}, {"path": "/a"}, True),
        ({"path": "/a*"}, {"path": "/a/b*"}, True),
        ({"path": "/a*"}, {"path": "/b*"}, False),
        ({"path": "/a"}, {"path": "/a*"}, False),
        ({"path": "/a*"}, {}, False),
        ({"host": "*.x.org"}, {"host": "a.x.org"}, True),
        ({"host": "*.x.org"}, {"host": "x.org"}, False),
        ({"host": "a.x.org"}, {}, False),
        ({"methods": ["GET"]}, {"methods": ["GET", "POST"]}, False),
        ({"methods": ["GET", "POST"]}, {"methods": ["GET"]}, True),
        ({"methods": ["GET"]}, {}, False),
        ({"headers": {"X": "1"}}, {"headers": {"X": "1", "Y": "2"}}, True),
        ({"headers": {"X": "1"}}, {"headers": {"X": "2"}}, False),
        ({"body": {"a.b": "1"}}, {}, False),
    ],
)
def test_what_covers_what(first, second, covered):
    assert covers(Match.model_validate(first), Match.model_validate(second)) is covered


def test_a_step_keeps_what_it_does_not_say():
    plan = rollout(
        {
            "canary": {
                "steps": [
                    {"mirror": "100%", "until": {"samples": 500}},
                    {"weight": "1%", "hold": "2m"},
                    {"mirror": "10%", "hold": "1m"},
                    {"approval": {"deadline": "4h", "then": "abort"}},
                ],
                "bake": "30m",
            }
        }
    ).plan()

    assert plan == Plan(
        (
            Step(mirror_bp=10_000, until_samples=500),
            Step(weight_bp=100, hold_s=120.0),
            Step(weight_bp=100, mirror_bp=1_000, hold_s=60.0),
            Step(weight_bp=100, mirror_bp=1_000, approval=Approval(14_400.0, Default.ABORT)),
        ),
        bake_s=1800.0,
    )


@pytest.mark.parametrize(
    ("ramp", "expected"),
    [
        ({"linear": {"step": "20%", "to": "50%", "hold": "5m"}}, [2_000, 4_000, 5_000]),
        (
            {"linear": {"start": "10%", "step": "20%", "to": "50%", "hold": "5m"}},
            [1_000, 3_000, 5_000],
        ),
        ({"linear": {"step": "60%", "to": "50%", "hold": "5m"}}, [5_000]),
        ({"exponential": {"hold": "5m"}}, [100, 200, 400, 800, 1_600, 3_200, 5_000]),
        ({"exponential": {"start": "0.01%", "factor": 10, "to": "1%", "hold": "5m"}}, [1, 10, 100]),
        (
            {"exponential": {"start": "0.01%", "factor": 1.5, "to": "0.05%", "hold": "5m"}},
            [1, 2, 3, 4, 5],
        ),
        ("auto", [5_000]),
    ],
)
def test_ramps(ramp, expected):
    assert weights({"canary": {"ramp": ramp}}) == expected


def test_an_evidence_driven_ramp_asks_for_proof():
    (step,) = rollout({"canary": {"ramp": {"auto": {"to": "30%"}}}}).plan().steps

    assert step.auto
    assert step.proof
    assert step.weight_bp == 3_000


def test_steps_come_before_the_ramp():
    canary = {
        "steps": [{"mirror": "100%", "hold": "1m"}],
        "ramp": {"linear": {"step": "50%", "hold": "1m"}},
    }

    assert weights({"canary": canary}) == [0, 5_000]


def test_blue_green_switches_at_once_or_gradually():
    at_once = rollout({"blue_green": {"mirror": "20%", "hold": "5m", "bake": "1h"}}).plan()
    gradual = rollout({"blue_green": {"over": "10m"}}).plan()

    assert at_once.steps == (Step(mirror_bp=2_000, hold_s=300.0, label="preview"),)
    assert [step.weight_bp for step in gradual.steps] == [0, *range(500, 10_000, 500)]
    assert sum(step.hold_s for step in gradual.steps) == pytest.approx(570)


def test_a_shadow_keeps_stable():
    plan = rollout({"shadow": {"mirror": "25%", "hold": "1h"}}).plan()

    assert plan.ending is Ending.KEEP
    assert all(step.weight_bp == 0 for step in plan.steps)


def test_proof_is_asked_in_the_last_step_with_a_coin():
    made = rollout(
        {"canary": {"steps": [{"weight": "5%"}, {"weight": "50%"}, {"weight": "100%"}]}},
        promotion={},
    )

    assert [step.proof for step in made.plan().steps] == [False, True, False]


def test_the_default_gates_are_there_unless_refused():
    shadow = {"shadow": {"mirror": "5%", "hold": "1h"}}

    assert [gate.title for gate in rollout(shadow).gates] == ["error_rate", "guard"]
    assert rollout(shadow, gates=[]).gates == ()


@pytest.mark.parametrize(("payload", "mirror", "added"), [
    ("json", "5%", True), ("json", "0%", False), ("opaque", "5%", False),
])  # fmt: skip
def test_where_answers_can_be_compared_a_gate_does_and_takes_nobody_back(payload, mirror, added):
    step = {"weight": "5%", "hold": "1h"} | ({"mirror": mirror} if mirror != "0%" else {})
    made = Route.model_validate({
        "name": "r", "payload": payload, "stable": "a",
        "versions": {v: {"endpoints": [f"http://{v}:1"]} for v in "ab"},
        "rollout": {"candidate": "b", "strategy": {"canary": {"steps": [step]}}},
    })  # fmt: skip
    found = [gate for gate in made.rollout.gates if gate.kind == "agreement"]
    assert [(gate.at_least, gate.on_fail) for gate in found] == [(9_500, "hold")] * added


def test_short_forms():
    shadow = {"shadow": {"mirror": "5%", "hold": "1h"}}

    assert rollout(shadow, on_no_data="abort").on_no_data.then == "abort"
    assert rollout(shadow, gates=["guard", {"latency": None}]).gates[1].kind == "latency"


def models(model):
    """All policy types below `model`, tables included."""
    seen, waiting = set(), [model]
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        for field in one.model_fields.values():
            waiting += nested(field.annotation, field.metadata)
    return seen


def nested(annotation, metadata=()):
    for marker in metadata:
        yield from getattr(marker, "table", {}).values()
    if isinstance(annotation, Later):
        yield annotation.kind
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    yield from (
        part
        for inner in getattr(annotation, "__args__", ())
        for part in nested(inner, getattr(annotation, "__metadata__", ()))
    )


def test_every_policy_type_is_frozen_and_refuses_unknown_keys():
    found = models(Policy)

    assert len(found) > 35
    assert set(STRATEGIES.values()) <= found
    for model in found:
        assert model.model_config["frozen"], model
        assert model.model_config["extra"] == "forbid", model


def test_numbers_and_booleans_are_strict():
    for annotation, lookalike in ((bool, "yes"), (int, "5"), (int, True), (str, 1.1)):
        loose = [
            f"{model.__name__}.{name}"
            for model in models(Policy)
            for name, field in model.model_fields.items()
            if field.annotation is annotation and not pickiness(field, lookalike)
        ]
        assert loose == []


def pickiness(field, value):
    """Whether the field refuses a value that only looks like its type."""
    try:
        TypeAdapter(field.rebuild_annotation()).validate_python(value)
    except ValidationError:
        return True
    return False


def test_a_policy_is_written_and_read_again():
    policy = load("configs/canary.yaml", {}).policy

    assert Policy.model_validate(policy.model_dump(mode="json")) == policy


GLOBS = st.one_of(st.none(), st.text("/a*", max_size=5).filter(lambda path: "*" not in path[:-1]))


@given(GLOBS, GLOBS)
def test_wider_paths_are_those_that_cover(first, second):
    first, second = Match.model_construct(path=first), Match.model_construct(path=second)
    found = (first.path if first.path is not None else "*") in set(second.wider_paths())
    assert found == first.covers_path(second.path if second.path is not None else "*")


@pytest.mark.parametrize(
    ("settings", "attributes"),
    [
        ({}, "Path=/; HttpOnly; SameSite=Lax"),
        (
            {"secure": True, "same_site": "none", "path": "/v2", "domain": "example.org"},
            "Path=/v2; Domain=example.org; HttpOnly; Secure; SameSite=None",
        ),
        ({"name": "__Host-c", "secure": True}, "Path=/; HttpOnly; Secure; SameSite=Lax"),
    ],
)
def test_what_browsers_are_told_about_the_sticky_cookie(settings, attributes):
    cookie = StickyCookie.model_validate({"secret": "sixteen-characters", **settings})

    assert cookie.attributes == attributes


@pytest.mark.parametrize(
    ("listen", "endpoint", "refused"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8080", True),
        ("127.0.0.1:8080", "http://localhost:8080", True),
        ("0.0.0.0:8080", "http://127.0.0.1:8080", True),
        ("0.0.0.0:8080", "http://LOCALHOST:8080", True),
        ("[::]:8080", "http://[::1]:8080", True),
        ("10.0.0.5:8080", "http://10.0.0.5:8080", True),
        ("10.0.0.5:8080", "http://127.0.0.1:8080", False),
        ("127.0.0.1:8080", "http://10.0.0.5:8080", False),
        ("127.0.0.1:8080", "http://127.0.0.1:8082", False),
        ("127.0.0.1:0", "http://127.0.0.1:8082", False),
        ("127.0.0.1:8080", "http://127.0.0.1:8081", True),  # the admin interface
    ],
)  # fmt: skip
def test_an_endpoint_is_never_this_router_itself(listen, endpoint, refused):
    policy = Policy.model_validate(
        {"listen": listen,
         "routes": [{"name": "r", "versions": {"v1": {"endpoints": [endpoint]}}, "stable": "v1"}]}
    )  # fmt: skip
    found = [one for one in findings(policy) if "that is" in one.message]
    assert [one.error for one in found] == [True] * refused
    if refused:
        assert found[0].path == ("routes", 0, "versions", "v1", "endpoints", 0)


def test_all_that_a_policy_may_name_can_be_imported_at_once():
    import_all()
    assert {"router.core.gates.resources", "router.core.policy.quota"} <= set(sys.modules)
