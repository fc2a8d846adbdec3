"""Files made to harm: each is refused soon, and builds nothing.

"Soon" is told in the machine's own terms: what libyaml alone takes to read the values of the
largest policy there may be, a fortieth of a second on a small server.
"""

import gc
import time
import tracemalloc

import pytest
import yaml

from router.config import PolicyError, load, loads
from router.config.source import ALIASES_MAX, NODES_MAX, SIZE_BYTES_MAX, parse

READINGS_MAX = 5
"""A refusal may cost so many bare readings of :data:`NODES_MAX` values."""
MEMORY_BYTES_MAX = 10_000_000

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)},*{chr(97 + i)},*{chr(97 + i)}]\n"
    for i in range(10)
)

HOSTILE = {
    "alias bomb": (BOMB, "values, got more"),
    "many aliases": ("a: &a x\nb: [" + "*a," * (ALIASES_MAX + 1) + "]", "32 aliases, got more"),
    "alias of itself": ("a: &a [*a]", "expected an anchor &a above, got none"),
    "python object": ("a: !!python/object/apply:os.system [ls]", "got the tag"),
    "python name": ("a: !!python/name:os.system", "got the tag"),
    "own tag": ("a: !secret b", "got the tag"),
    "deep brackets": ("[" * 5_000, "32 levels, got more"),
    "deep braces": ("{a: " * 5_000, "32 levels, got more"),
    "brackets before the library's own bound": (
        "# [[\n['[[', " + "[" * 5_000,
        "policy.yaml:2:40: ",
    ),
    "deep blocks": ("\n".join(" " * i + "a:" for i in range(900)), "32 levels, got more"),
    "deep keys": ("? " * 5_000, "expected text as a key"),
    "too large": ("#" * (SIZE_BYTES_MAX + 1), "1,000,000 bytes, got 1,000,001"),
    "one megabyte of values": ("- a\n" * (SIZE_BYTES_MAX // 4), "100,000 values, got more"),
    "one megabyte of keys": ("".join(f"k{i}: 1\n" for i in range(90_000)), "got more"),
    "one megabyte of flow": ("[" + "1," * 499_000 + "]", "100,000 values, got more"),
    "many versions": (
        "routes: [{name: r, stable: v0, versions: {"
        + ", ".join(f"v{i}: {{endpoints: ['http://h:1']}}" for i in range(65))
        + "}}]",
        "expected at most 64 entries, got more",
    ),
    "one megabyte of text": ("a: " + "x" * (SIZE_BYTES_MAX - 10), "expected a known key"),
    "NUL": ("listen: 127.0.0.1:8080\nstore: a\0b", "U+0000"),
    "escape": ("a: \x1b[31m", "U+001B"),
    "tab": ("a:\n\tb: 1", "expected spaces as indentation, got a tab"),
    "not UTF-8": (b"a: \xff\xfe", "expected UTF-8 text, got the byte 0xff"),
    "UTF-16": ("a: 1".encode("utf-16"), "expected UTF-8 text"),
    "second document": ("a: 1\n---\na: 2", "got a second one"),
    "duplicate key": ("a: 1\na: 2", "got a second 'a'"),
    "list as key": ("[1]: 2", "expected text as a key"),
    "alias as key": ("a: &a b\n*a : c", "expected text as a key"),
    "huge number": ("workers: " + "9" * 5_000, "expected a whole number"),
    "huge duration": ("limits: {drain: " + "9" * 5_000 + "s}", "expected a duration"),
    "huge exponent": ("workers: 1e9999", "expected a whole number"),
    "unclosed quote": ('a: "b', 'expected " to close this "'),
    "a list": ("- a", "expected a mapping"),
    "a word": ("policy", "expected a mapping"),
}


def cpu_s(work):
    """Processor time of one call."""
    started = time.process_time()
    work()
    return time.process_time() - started


def bare_reading():
    """What nobody can save: libyaml's events of a policy as large as may be."""
    for _ in yaml.parse("- a\n" * NODES_MAX, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        pass


@pytest.fixture(scope="module")
def bare_reading_s():
    """The fastest of three."""
    return min(cpu_s(bare_reading) for _ in range(3))


@pytest.mark.parametrize("name", HOSTILE)
def test_is_refused_quickly(name, bare_reading_s):
    data, said = HOSTILE[name]

    def refused():
        with pytest.raises(PolicyError) as caught:
            loads(data, environment={})
        assert said in str(caught.value)
        assert len(str(caught.value)) < 20_000

    limit_s = READINGS_MAX * bare_reading_s
    spent_s = cpu_s(refused)
    for _ in range(3):  # other processes are not the cost of the file: a slow one may try again
        if spent_s > limit_s:
            gc.collect()
            spent_s = min(spent_s, cpu_s(refused))

    assert spent_s <= limit_s


@pytest.mark.parametrize("name", ["alias bomb", "deep brackets", "one megabyte of values"])
def test_needs_little_memory(name):
    tracemalloc.start()
    try:
        with pytest.raises(PolicyError):
            loads(HOSTILE[name][0], environment={})
        assert tracemalloc.get_traced_memory()[1] < MEMORY_BYTES_MAX
    finally:
        tracemalloc.stop()


def test_an_endless_file_is_read_in_part_only():
    with pytest.raises(PolicyError, match="at most 1,000,000 bytes"):
        load("/dev/zero", {})


def test_a_missing_file_is_a_problem_like_others(tmp_path):
    with pytest.raises(PolicyError, match="expected a readable file, got: No such file"):
        load(tmp_path / "none.yaml", {})


def test_the_limits_leave_room_for_real_policies():
    route = (
        "  - name: r{0}\n    match: {{path: /{0}/x, methods: [POST]}}\n"
        "    versions: {{a: {{endpoints: [http://127.0.0.1:9001, http://127.0.0.1:9002]}}}}\n"
        "    stable: a\n"
    )
    text = "routes:\n" + "".join(route.format(number) for number in range(300))

    assert len(loads(text, environment={}).policy.routes) == 300


def test_values_just_within_the_limit_are_accepted():
    assert len(parse("- a\n" * (NODES_MAX - 1)).value) == NODES_MAX - 1
