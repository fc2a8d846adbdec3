"""A service whose answers a test computes, by the standard library: slow, and nobody's own code."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class JsonService(BaseHTTPRequestHandler):
    """Answers JSON; whoever derives from it has ``answer(body)``, which says something."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65_536  # head and body in one piece: two wait for delayed acknowledgements

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.say({})

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def say(self, said, status=200):
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serving(kind, **state):
    """A server that runs, with its ``url``; ``state`` is what answers depend on."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    server.daemon_threads = True
    for name, value in state.items():
        setattr(server, name, value)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.url = f"http://127.0.0.1:{server.server_port}"
    return server
