"""`python -m prediction_services forecast`: services of both models of `forecasts`, for a cascade.

The first answers `POST /forecast {"flight_id": "UA1545.EWR.2013-03-01.0515"}` with
`{"delay_min": 12.3}`, the second `POST /late {"delay_min": 12.3}` with `{"late": false, "p": 0.2}`.
What else a request says, such as `user`, is for others.
"""

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from prediction_services.dataset import load_table
from prediction_services.flights import parse_flight_id
from prediction_services.forecasts import FLAGGED_ABOVE, FORECASTERS, load_forecasts

Answering = Callable[[dict[str, Any]], dict[str, Any]]
SECOND = "late"
SERVED = (*FORECASTERS, SECOND)
"""What may be served."""
BODY_BYTES_MAX = 65_536


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65_536  # head and body in one piece: two wait for delayed acknowledgements
    server: "ForecastServer"

    def do_POST(self) -> None:
        """One prediction."""
        size = min(int(self.headers.get("Content-Length") or 0), BODY_BYTES_MAX)
        try:
            asked = json.loads(self.rfile.read(size))
            said, status = self.server.answering(asked), 200
        except (ValueError, KeyError, TypeError) as error:
            said, status = {"error": f"{type(error).__name__}: {error}"}, 400
        self._send(status, json.dumps(said).encode())

    def do_GET(self) -> None:
        """Ready."""
        self._send(200, b"{}")

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing for each request."""


class ForecastServer(ThreadingHTTPServer):
    """One model behind one port of 127.0.0.1."""

    daemon_threads = True

    def __init__(self, answering: Answering, port: int = 0) -> None:
        """Bind; port 0 is the kernel's choice."""
        super().__init__(("127.0.0.1", port), _Handler)
        self.answering = answering

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}"


def answering(what: str, cache: Path) -> Answering:
    """What a service says; `what` is one of `SERVED`. Trains on first use."""
    forecasts = load_forecasts(cache)
    if what == SECOND:

        def late(asked: dict[str, Any]) -> dict[str, Any]:
            p = forecasts.late_at(float(asked["delay_min"]))
            return {"late": p > FLAGGED_ABOVE, "p": round(p, 6)}

        return late
    table, minutes = load_table(cache), forecasts.minutes[what]

    def forecast(asked: dict[str, Any]) -> dict[str, Any]:
        row = table.rows([parse_flight_id(asked["flight_id"], "flight_id")])[0]
        return {"delay_min": round(float(minutes[row]), 2)}

    return forecast


def run(what: str, port: int, cache: Path) -> int:
    """Serve until the process is ended."""
    server = ForecastServer(answering(what, cache), port)
    print(f"{what} on {server.url}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        return 0
    return 0
