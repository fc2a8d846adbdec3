"""Loading from disk: examples, digests, warnings about statistics."""

import re
from pathlib import Path

import pytest

from router.config import load, loads
from router.config.check import statistics
from router.config.watch import FileWatch, fingerprint
from router.core.gates import GATES
from router.core.payloads import PAYLOADS
from router.core.policy.points import HOOKS
from router.core.spec import Spec
from router.core.strategies import RAMPS, STRATEGIES

CONFIGS = Path(__file__).parents[2] / "configs"
EXAMPLES = sorted(CONFIGS.glob("*.yaml"))
MODELINE = "# yaml-language-server: $schema=../schemas/policy.schema.json"


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_every_example_loads_without_a_warning(file):
    loaded = load(file, {})

    assert not loaded.warnings
    assert all(r.rollout is None or r.rollout.plan().steps for r in loaded.policy.routes)
    assert file.read_text().startswith(MODELINE)


def test_every_strategy_has_an_example():
    names = {file.stem for file in EXAMPLES}

    assert {name.replace("_", "-") for name in STRATEGIES} <= names


ONE_OF = {("ForEach", "cookie"), ("ForEach", "query"), ("Reference", "file")}
"""Exactly one of header, query and cookie, and of file and past, may be written."""


def written(value, found):
    """The fields that a policy really writes, by the class that defines them."""
    if isinstance(value, Spec):
        for kind in type(value).__mro__:
            found |= {
                (kind.__name__, name)
                for name in value.model_fields_set
                if name in vars(kind).get("__annotations__", ())
            }
        for name in value.model_fields_set:
            written(getattr(value, name), found)
    for inner in value.values() if isinstance(value, dict) else ():
        written(inner, found)
    for inner in value if isinstance(value, tuple | list) else ():
        written(inner, found)
    return found


def kinds(base=Spec):
    """Every class that can be written in a policy of the product itself."""
    for kind in base.__subclasses__():
        if kind.__module__.startswith("router."):
            yield kind
        yield from kinds(kind)


def test_the_reference_has_every_key_of_every_kind():
    found = written(load(CONFIGS / "reference.yaml", {}).policy, set())
    known = {
        (kind.__name__, name)
        for kind in kinds()
        for name in kind.model_fields
        if name in vars(kind).get("__annotations__", ())
    }

    assert known - found == ONE_OF
    assert len(known) > 200


def test_the_reference_has_every_strategy_ramp_gate_and_hook():
    text = (CONFIGS / "reference.yaml").read_text()

    for table in (STRATEGIES, RAMPS, GATES, HOOKS, PAYLOADS):
        for word in table:
            assert re.search(rf"\b{word}\b", text), word


POLICY = """routes:
  - name: r
    versions: {v1: {endpoints: [http://127.0.0.1:9001]}, v2: {endpoints: [http://127.0.0.1:9002]}}
    stable: v1
    rollout:
      candidate: v2
      strategy:
        canary:
          steps:
            - {weight: 1%, hold: 10s}
            - {weight: 50%, hold: 10m}
      gates: [error_rate]
"""


def test_a_step_shorter_than_any_verdict_is_warned_about():
    (warning,) = statistics(loads(POLICY), 2)

    assert warning.mark.line == 10
    assert (
        "step 1 lasts 10s, but at 2 requests/s and 1 % even a candidate that always"
        in warning.message
    )
    assert "hold it for" in warning.hint


def test_enough_traffic_needs_no_warning():
    assert statistics(loads(POLICY), 1_000) == []


def test_a_cap_that_healthy_candidates_reach_is_warned_about():
    (warning,) = statistics(loads(POLICY + "      max_bad_responses: 20\n"), 50)

    assert warning.path == "routes[0].rollout.max_bad_responses"
    assert "about 150 bad answers in this rollout, the cap is 20" in warning.message


def test_a_proof_that_cannot_come_in_time_is_warned_about():
    text = POLICY + "      promotion: {margin: 0.1%}\n      max_duration: 11m\n"
    found = statistics(loads(text), 2)

    assert any("the proof needs about 3,000 candidate requests" in w.message for w in found)


def test_a_watch_sees_content_and_not_times(tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY)
    watch = FileWatch(file)

    assert watch.changed()
    file.touch()
    assert not watch.changed()
    file.write_text(POLICY + "# edited\n")
    assert watch.changed()
    assert not watch.changed()


def test_a_watch_sees_swapped_links_missing_and_included_files(tmp_path):
    first, second, link = (tmp_path / name for name in ("1", "2", "policy.yaml"))
    first.write_text("a: ${file:secret}")
    second.write_text("b: 1")
    link.symlink_to(first)
    seen = [fingerprint(link)]
    (tmp_path / "secret").write_text("x")
    seen.append(fingerprint(link))
    (tmp_path / "secret").write_text("y")
    seen.append(fingerprint(link))
    link.unlink()
    seen.append(fingerprint(link))
    link.symlink_to(second)
    seen.append(fingerprint(link))

    assert len(set(seen)) == len(seen)


def test_the_digest_covers_included_files(tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text('listen: "${file:listen}"\n' + POLICY)
    (tmp_path / "listen").write_text("127.0.0.1:1")
    first = load(file, {}).digest
    (tmp_path / "listen").write_text("127.0.0.1:2")

    assert load(file, {}).digest != first
