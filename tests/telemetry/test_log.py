from __future__ import annotations

import io
import json
import linecache

import pytest
import structlog

from router.loops import FRAMES_MAX
from router.telemetry import log


@pytest.fixture
def out():
    stream = io.StringIO()
    log.configure(stream=stream)
    yield stream
    structlog.reset_defaults()


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_one_json_object_a_line_whatever_it_holds(out):
    structlog.get_logger().info(
        "seen", agent="a\r\nb\x1b[31mc\u2028d\x9b", path=b"/x\n\xff", n=1, ok=True
    )
    raw = out.getvalue()
    assert raw.count("\n") == 1
    assert not any(ord(c) < 32 for c in raw.rstrip("\n"))
    assert "\u2028" not in raw
    assert "\x9b" not in raw
    (line,) = lines(out)
    assert line["event"] == "seen"
    assert line["level"] == "info"
    assert (line["n"], line["ok"]) == (1, True)
    assert line["agent"] == "a\\u000d\\u000ab\\u001b[31mc\\u2028d\\u009b"


@pytest.mark.parametrize(
    ("key", "value", "gone"),
    [
        ("Authorization", "Bearer abc.def", "abc"),
        ("cookie", "session=1234", "1234"),
        ("admin_token", "hunter22", "hunter22"),
        ("text", "got header Authorization: Bearer abc.def-ghi=", "abc.def"),
        ("url", "http://ann:hunter22@host/path", "hunter22"),
        ("target", "/v2/x?user=1&api_key=hunter22&y=2", "hunter22"),
        ("nested", {"headers": [{"Set-Cookie": "hunter22"}]}, "hunter22"),
    ],
)
def test_secrets_are_not_written(out, key, value, gone):
    structlog.get_logger().info("seen", **{key: value})
    assert gone not in out.getvalue()
    assert log.REDACTED in out.getvalue()


def test_long_and_deep_values_are_bounded(out):
    deep: dict = {}
    node = deep
    for _ in range(100):
        node["a"] = {}
        node = node["a"]
    structlog.get_logger().info("seen", text="x" * 100_000, deep=deep)
    assert len(out.getvalue()) < 10_000


def test_a_terminal_gets_colours_and_the_same_protection():
    stream = io.StringIO()
    log.configure(stream=stream, json=False)
    structlog.get_logger().warning("seen", agent="a\x1b[2Jb")
    structlog.reset_defaults()
    assert "\x1b[2J" not in stream.getvalue()
    assert "seen" in stream.getvalue()


def deep(levels):
    if levels:
        return deep(levels - 1)
    raise ValueError("a bug") from KeyError("token=abc")


@pytest.mark.parametrize("levels", [3, 400])
def test_what_was_raised_is_told_without_its_source(out, monkeypatch, levels):
    """A traceback read the source of each frame, and its end was cut off."""
    read = []
    monkeypatch.setattr(linecache, "getlines", lambda *names: read.append(names) or [])
    try:
        deep(levels)
    except ValueError:
        structlog.get_logger().exception("admin request failed", path="/x")
    (line,) = lines(out)
    assert read == []
    assert line["error"] == "ValueError: a bug"
    assert line["after"].startswith("KeyError: ")
    assert line["stack"][-1].endswith(" deep")
    assert line["stack"][-1].startswith("test_log.py:")
    assert 2 <= len(line["stack"]) <= FRAMES_MAX
