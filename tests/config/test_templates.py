"""Routes that copy a template mean what the same routes written out mean."""

from pathlib import Path

import pytest

from router.config import loads
from router.config.problems import PolicyError

HEAD = """\
templates:
  pair:
    match: {path: /$(model)/*}
    versions:
      v1: {endpoints: ["$(old)"]}
      $(new): {endpoints: $(ends), queue: $(queue)}
    stable: v1
    timeouts: {total: $(total)s}
routes:
"""
ROUTE = """\
  - name: flights
    template: pair
    with: {model: flights, old: "http://a:1", new: v2, ends: ["http://b:2", "http://c:3"], queue: 7,
           total: 1.50}
"""
WRITTEN_OUT = """\
routes:
  - name: flights
    match: {path: /flights/*}
    versions:
      v1: {endpoints: ["http://a:1"]}
      v2: {endpoints: ["http://b:2", "http://c:3"], queue: 7}
    stable: v1
    timeouts: {total: 1.50s}
"""


def problems(text):
    with pytest.raises(PolicyError) as refused:
        loads(text)
    return [(one.mark.line, one.message, one.hint) for one in refused.value.problems]


def test_a_copy_means_what_is_written_out():
    assert loads(HEAD + ROUTE).policy == loads(WRITTEN_OUT).policy


def test_a_key_of_the_route_replaces_that_of_the_template():
    own = HEAD + ROUTE + "    match: {path: /elsewhere/*}\n"
    (route,) = loads(own.replace("{model: flights, ", "{")).policy.routes
    assert route.match.path == "/elsewhere/*"


def test_a_thousand_routes_are_short_and_quick():
    many = "".join(
        ROUTE.replace("name: flights", f"name: r{n}").replace("model: flights", f"model: r{n}")
        for n in range(1_000)
    )
    policy = loads(HEAD + many).policy
    assert len(policy.routes) == 1_000
    assert policy.routes[999].match.path == "/r999/*"


def test_the_environment_is_looked_up_in_arguments_too():
    text = HEAD + ROUTE.replace('"http://a:1"', '"${OLD}"')
    (route,) = loads(text, environment={"OLD": "http://env:9"}).policy.routes
    assert route.versions["v1"].endpoints[0].host == "env"


@pytest.mark.parametrize(
    ("old", "new", "line", "message", "hint"),
    [
        ("template: pair", "template: pear", 11, "expected a template, got 'pear'",
         "did you mean pair?"),
        ("model: flights, ", "", 11, "expected an argument for $(model), got none",
         "write with: {model: ...}"),
        ("queue: 7", "queue: 7, size: 3", 12, "template pair has no $(size)",
         "its arguments are: ends, model, new, old, queue, total"),
        ("model: flights", "model: [a]", 12,
         "expected a text for $(model), got a list or a mapping", None),
        ("$(total)", "$(to-tal)", 8, "expected the name of an argument in $(to-tal)", None),
        ("templates:\n  pair", "templates: 3\nx:\n  pair", 1, "expected templates by name", None),
    ],
)  # fmt: skip
def test_a_mistake_has_place_reason_and_fix(old, new, line, message, hint):
    found = problems((HEAD + ROUTE).replace(old, new, 1))
    assert (line, message) in [(where, what) for where, what, _ in found]
    if hint is not None:
        assert hint in [fix for _, _, fix in found]


def test_a_wrong_value_is_told_where_it_is_written():
    """In the template, or among the arguments."""
    ((line, *_),) = problems((HEAD + ROUTE).replace("queue: 7", "queue: many"))
    assert line == 12
    ((line, *_),) = problems((HEAD + ROUTE).replace("stable: v1", "stabel: v1"))[:1]
    assert line == 7


def test_the_example_of_configs_has_both_routes():
    path = Path(__file__).resolve().parents[2] / "configs/templates.yaml"
    first, second = loads(path.read_text()).policy.routes
    assert first.rollout is not None
    assert first.sticky is None
    assert second.sticky is not None
