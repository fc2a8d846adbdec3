"""What a policy says about hooks, alerts, anti-flap and registries, and what it may not say."""

import pytest
from pydantic import ValidationError

from router.config.check import loads
from router.config.problems import PolicyError
from router.core.policy import RolloutPolicy
from router.core.policy.anti_flap import DAY_S, AntiFlap
from router.core.policy.hooks import TRIGGERS, Alert
from router.core.policy.points import HOOKS
from router.core.policy.registry import MlflowRegistry
from router.core.urls import checked_url

URL = "http://127.0.0.1:7/x"


def rollout(**more):
    steps = [{"weight": "1%", "hold": "1m"}]
    return RolloutPolicy.model_validate(
        {"candidate": "v2", "strategy": {"canary": {"steps": steps}}, **more}
    )


@pytest.mark.parametrize("point", HOOKS)
def test_a_step_at_zero_comes_first_where_something_is_asked_before_traffic(point):
    plan = rollout(hooks=[{point: {"url": URL}}]).plan()
    asked = point in ("confirm_rollout", "pre_rollout", "confirm_traffic_increase")
    assert [step.weight_bp for step in plan.steps] == ([0, 100] if asked else [100])


def test_flaggers_eight_points():
    assert list(HOOKS) == [
        "confirm_rollout", "pre_rollout", "rollout", "confirm_traffic_increase",
        "confirm_promotion", "post_rollout", "rollback", "event",
    ]  # fmt: skip
    assert all(kind.model_fields["timeout"].default == 10.0 for kind in HOOKS.values())


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest", "http://[fe80::1]/", "http://metadata.google.internal/x",
        "http://METADATA/x", "http://100.100.100.200:80/", "http://2130706433/", "http://0x7f.1/",
        "http://u:p@hooks.example.org/", "http://a@169.254.169.254/", "ftp://x/", "file:///etc",
        "http://", "http://x:0/", "http://x:70000/", "http://x/#y", "http://x y/", "http://x/ y",
        "http://0.0.0.0/", "http://[::ffff:169.254.169.254]/", "http://x/" + "y" * 3_000,
    ],
)  # fmt: skip
def test_urls_that_are_never_called(url):
    with pytest.raises(ValueError, match="expected"):
        checked_url(url)
    with pytest.raises(ValidationError):
        Alert.model_validate({"url": url})
    with pytest.raises(ValidationError):
        rollout(hooks=[{"event": {"url": url}}])
    with pytest.raises(ValidationError):
        rollout(gates=[{"prometheus": {"url": url, "query": "up", "at_most": 1}}])
    with pytest.raises(ValidationError):
        rollout(gates=[{"webhook": {"url": url}}])


@pytest.mark.parametrize(
    "url", [URL, "https://hooks.example.org", "http://[::1]:80/x?y=z", "http://h?x"]
)
def test_urls_that_are(url):
    assert checked_url(url) == url


def test_secrets_are_not_in_what_is_kept_or_shown():
    policy = rollout(
        hooks=[{"event": {"url": URL, "headers": {"Authorization": "Bearer hunter22"}}}],
        alerts=[{"url": "https://hooks.slack.example.org/hunter22"}],
        gates=[{"webhook": {"url": URL, "headers": {"Authorization": "Bearer hunter22"}}}],
    )
    assert "hunter22" not in repr(policy) + str(policy.model_dump(mode="json"))
    with pytest.raises(ValidationError) as caught:
        Alert.model_validate({"url": "http://169.254.169.254/hunter22"})
    assert "hunter22" not in str(caught.value.errors()[0]["msg"])


@pytest.mark.parametrize(
    ("severity", "sent"),
    [
        ("info", set(TRIGGERS)),
        ("warn", set(TRIGGERS) - {"started", "step_completed", "completed"}),
        ("error", {"rolled_back", "aborted", "config_rejected"}),
    ],
)
def test_alerts_are_sent_from_their_severity_on(severity, sent):
    alert = Alert.model_validate({"url": URL, "severity": severity})
    assert {trigger for trigger in TRIGGERS if alert.wants(trigger)} == sent
    one = Alert.model_validate({"url": URL, "severity": severity, "on": ["completed"]})
    assert [t for t in TRIGGERS if one.wants(t)] == (["completed"] if severity == "info" else [])


def test_retries_back_off_and_are_capped():
    rule = AntiFlap()
    assert rule.refusal([], ended=100.0, now=100.0) == "", "the first may be at once"
    assert "possible in 1m" in rule.refusal([100.0], ended=200.0, now=200.0)
    assert rule.refusal([100.0], ended=200.0, now=260.0) == ""
    waits = []
    for n in range(1, 9):
        now = 1_000.0
        while rule.refusal([now - 1] * n, ended=1_000.0, now=now):
            now += 1.0
        waits.append(now - 1_000.0)
    assert waits == [60, 120, 240, 480, 960, 1_920, 3_600, 3_600]
    ten = [1_000.0 + i for i in range(10)]
    assert "per_day is 10" in rule.refusal(ten, ended=1_100.0, now=20_000.0)
    assert "possible in 1s" in rule.refusal(ten, ended=1_100.0, now=1_000.0 + DAY_S - 1)
    assert rule.refusal(ten, ended=1_100.0, now=1_000.0 + DAY_S) == ""
    assert rule.refusal(ten, ended=1_100.0, now=1_010.0 + DAY_S) == ""


def test_model_versions_are_known_or_asked_for():
    mlflow = MlflowRegistry.model_validate({"url": URL, "model": "m", "versions": {"green": "4"}})
    assert [mlflow.version_of(n) for n in ("green", "v17", "3", "blue", "v1.2")] == [
        "4", "17", "3", None, None,
    ]  # fmt: skip


ROUTE = """
  - name: {name}
    match: {{path: /{name}}}
    versions: {{{old}: {{endpoints: [http://127.0.0.1:1]}}, v2: {{endpoints: [http://127.0.0.1:2]}}}}
    stable: {old}
    {more}
    rollout: {{candidate: v2, strategy: {{{strategy}}}, {rest}}}
"""
CANARY = "canary: {steps: [{weight: 1%, hold: 1m}]}"


def route(name="a", old="v1", more="", strategy=CANARY, rest=""):
    return ROUTE.format(name=name, old=old, more=more, strategy=strategy, rest=rest)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            route(rest="group: g") + route("b", rest="group: g, hooks: [{pre_rollout: {url: 'http://h/'}}]"),
            "expected 1 steps as in 'a' of the same group, got 2",
        ),
        (route(rest="hooks: [{event: {url: 'http://h/'}}, {event: {url: 'http://g/'}}]"),
         "expected a name of its own for a second hook"),
        (route(old="blue", more="registry: {mlflow: {url: 'http://h/', model: m}}"),
         "expected the model version that 'blue' stands for"),
        (route(more="registry: {mlflow: {url: 'http://h/', model: m, versions: {v9: '1'}}}"),
         "expected one of the versions v1, v2, got 'v9'"),
        (route(rest="windows: [monday]"), "expected a window such as"),
        (route(rest="hooks: [{confirm: {url: 'http://h/'}}]"), "'confirm'"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused(text, expected):
    with pytest.raises(PolicyError) as caught:
        loads("routes:" + text)
    assert expected in str(caught.value)


def test_a_hook_that_is_never_asked_is_warned_of():
    text = route(
        strategy="shadow: {mirror: 1%, hold: 1m}",
        rest="gates: [guard], hooks: [{confirm_promotion: {url: 'http://h/'}}]",
    )
    (warning,) = [w for w in loads("routes:" + text).warnings if "never asked" in str(w)]
    assert warning
