"""A judge of two answers: which of them can be used, by a rule; or one with a bad habit.

The gate `judge` asks it `{"question": ..., "first": ..., "second": ...}`, or as OpenAI's API is
asked, and it says `{"better": "first"}`, `second` or `tie`. The rule is a dispatcher's: a row
can be used when it has a label of 0 or 1 that fits its score. Habits are for tests and for trying
out what they do to a rollout, which is nothing: `PUT /admin/habit` with `{"habit": "first"}`.
"""

import argparse
import contextlib
import json
import random
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from prediction_services.cache import write_whole

HABITS = ("rule", "first", "second", "tie", "dice", "hang", "long", "nonsense", "refuse")
HANG_S = 60.0
LONG_BYTES = 1_048_576
TOKENS = 50
"""Of each verdict, so that budgets have something to count."""

_ROW = re.compile(r"predict\[(\d+)(?:,0)?\]")
RULED_OFF = "\n-----\n"
"""Between the parts of the router's own prompt."""


def usable(answer: Any) -> float:
    """Share of an answer's rows that can be used, 0..1; of an answer without rows 0."""
    if not isinstance(answer, dict):
        return 0.0
    rows = [found for path in answer if (found := _ROW.fullmatch(path))]
    fits = [_fits(answer[row[0]], answer.get(f"predict_proba[{row[1]},1]")) for row in rows]
    return sum(fits) / len(fits) if fits else 0.0


def _fits(label: Any, score: Any) -> bool:
    if label not in (0, 1) or not isinstance(score, int | float):
        return False
    return bool(label) is (score >= 0.5)


def better(first: Any, second: Any) -> str:
    """`first`, `second` or `tie`."""
    gap = usable(first) - usable(second)
    return "first" if gap > 0.0 else "second" if gap < 0.0 else "tie"


def pair_of(asked: dict[str, Any]) -> tuple[Any, Any]:
    """Both answers, of a question in either shape. Raises ValueError, LookupError, TypeError."""
    if "messages" not in asked:
        return asked["first"], asked["second"]
    parts = asked["messages"][-1]["content"].split(RULED_OFF)
    return json.loads(parts[3]), json.loads(parts[5])


def verdict(asked: dict[str, Any], habit: str) -> dict[str, Any]:
    """What it answers, in the shape in which it was asked."""
    said = habit if habit in ("first", "second", "tie") else ""
    said = random.choice(("first", "second")) if habit == "dice" else said
    said = said or better(*pair_of(asked))
    usage = {"total_tokens": TOKENS}
    if "messages" not in asked:
        return {"better": said, "usage": usage}
    message = {"role": "assistant", "content": json.dumps({"better": said})}
    return {"choices": [{"index": 0, "message": message}], "usage": usage}


class Judge(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65_536  # head and body in one piece, or the second waits for an acknowledgement
    habit = HABITS[0]
    asked = 0
    """Questions so far."""
    lock = threading.Lock()

    def do_POST(self) -> None:
        """A question."""
        body = self._body()
        with Judge.lock:
            Judge.asked += 1
        if Judge.habit == "hang":
            threading.Event().wait(HANG_S)
        if Judge.habit == "refuse":
            return self._say(503, b"{}")
        if Judge.habit in ("long", "nonsense"):
            text = b"better: " + b"x" * (LONG_BYTES if Judge.habit == "long" else 20)
            return self._say(200, text)
        try:
            said = json.dumps(verdict(json.loads(body), Judge.habit)).encode()
        except (ValueError, LookupError, TypeError, AttributeError):
            return self._say(400, b"{}")
        return self._say(200, said)

    def do_PUT(self) -> None:
        """Another habit."""
        habit = json.loads(self._body()).get("habit")
        if habit not in HABITS:
            return self._say(422, json.dumps({"habits": HABITS}).encode())
        Judge.habit = habit
        return self._say(200, b"{}")

    def do_GET(self) -> None:
        """How often it was asked."""
        self._say(200, json.dumps({"habit": Judge.habit, "asked": Judge.asked}).encode())

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as it is called there
        """Nothing: the router counts."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its command line."""
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 lets the kernel choose")
    parser.add_argument("--port-file", type=Path, help="written with the port once bound")
    parser.add_argument("--habit", choices=HABITS, default=HABITS[0], help="how it judges")
    parser.add_argument(
        "--exit-with-parent", action="store_true", help="stop when standard input ends"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Judge until told to stop."""
    Judge.habit = options.habit
    server = ThreadingHTTPServer((options.host, options.port), Judge)
    server.daemon_threads = True
    port = server.server_address[1]
    if options.port_file is not None:
        write_whole(options.port_file, lambda partial: _write_port(partial, port))
    print(json.dumps({"event": "listening", "url": f"http://{options.host}:{port}"}), flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):
        if options.exit_with_parent:
            sys.stdin.buffer.read()
        else:
            threading.Event().wait()
    return 0


def _write_port(path: Path, port: int) -> None:
    path.write_text(f"{port}\n")
