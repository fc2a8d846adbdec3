"""Writes down what real clients and servers send: ``python -m tests.http1.capture``.

Each client sends four requests to a socket, each server answers one to a socket; `real_heads.json`
keeps the heads with the program's version. Programs that are not installed keep what was captured
before. Servers come from the Python that runs this; `curl`, `node`, `wrk`, `ab`, `nginx` from PATH.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tests.ports import free_port

KEPT = Path(__file__).with_name("real_heads.json")
BODY = '{"instances": [[1.0, 2.0]]}'
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n"
    b"Connection: close\r\n\r\n{}"
)
QUESTION = (
    b"POST /v2/models/m/infer HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
)

PYTHON_CLIENTS = {
    "requests": """
        import requests
        s = requests.Session()
        s.get(U); s.post(U, json=B); s.post(U, json=B, headers=H); s.put(U, data=D)
        """,
    "httpx": """
        import httpx
        with httpx.Client() as s:
            s.get(U); s.post(U, json=B); s.post(U, json=B, headers=H); s.put(U, content=D)
        """,
    "aiohttp": """
        import aiohttp, asyncio
        async def main():
            async with aiohttp.ClientSession() as s:
                for more in ({}, {"json": B}, {"json": B, "headers": H}, {"data": D.encode()}):
                    async with s.request("POST" if more else "GET", U, **more) as r: await r.read()
        asyncio.run(main())
        """,
    "urllib3": """
        import urllib3
        s = urllib3.PoolManager()
        s.request("GET", U); s.request("POST", U, json=B)
        s.request("POST", U, body=D, headers=H); s.request("PUT", U, body=D)
        """,
    "niquests": """
        import niquests
        s = niquests.Session()
        s.get(U); s.post(U, json=B); s.post(U, json=B, headers=H); s.put(U, data=D)
        """,
    "http.client": """
        import http.client
        for method, body, more in (
            ("GET", None, {}), ("POST", D, {}), ("POST", D, H), ("PUT", D, {})):
            c = http.client.HTTPConnection("127.0.0.1", P)
            c.request(method, "/v2/models/m/infer", body, more); c.getresponse().read()
        """,
    "urllib.request": """
        from urllib.request import Request, urlopen
        urlopen(U).read()
        for method, more in (("POST", {}), ("POST", H), ("PUT", {})):
            urlopen(Request(U, D.encode(), more, method=method)).read()
        """,
}
NODE = """
    const U = process.argv[1], D = process.argv[2], H = JSON.parse(process.argv[3]);
    const http = require("http");
    const ask = (method, headers, body) => new Promise((done) => {
        const q = http.request(U, {method, headers, agent: new http.Agent({keepAlive: true})},
            (r) => { r.resume(); r.on("end", done); });
        if (body) q.setHeader("Content-Length", Buffer.byteLength(body));
        q.end(body);
    });
    (async () => {
        await ask("GET", {}); await ask("POST", {"Content-Type": "application/json"}, D);
        await ask("POST", H, D); await ask("PUT", {}, D);
    })();
    """
FETCH = """
    const U = process.argv[1], D = process.argv[2], H = JSON.parse(process.argv[3]);
    (async () => {
        for (const more of [{}, {method: "POST", body: D}, {method: "POST", body: D, headers: H},
                            {method: "PUT", body: D}])
            await (await fetch(U, more)).text();
    })();
    """
HEADERS = {
    "Content-Type": "application/json", "Authorization": "Bearer abc", "X-Request-Id": "r-1",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
}  # fmt: skip

WSGI = """
    def app(environ, start):
        start("200 OK", [("Content-Type", "application/json"), ("Content-Length", "2")])
        return [b"{}"]
    """
ASGI = """
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            while True:
                kind = (await receive())["type"]
                await send({"type": kind + ".complete"})
                if kind.endswith("shutdown"): return
        headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})
    """
SERVERS = {
    "uvicorn": (ASGI, "-m uvicorn app:app --port {port} --log-level error"),
    "hypercorn": (ASGI, "-m hypercorn app:app --bind 127.0.0.1:{port}"),
    "daphne": (ASGI, "-m daphne -p {port} app:app"),
    "granian": (ASGI, "-m granian --interface asgi --port {port} app:app"),
    "gunicorn": (WSGI, "-m gunicorn app:app -b 127.0.0.1:{port} -k gthread --keep-alive 5"),
    "waitress": (WSGI, "-m waitress --port {port} app:app"),
    "cheroot": (WSGI, "-m cheroot app:app --bind 127.0.0.1:{port}"),
    "werkzeug": (WSGI + """
    if __name__ == "__main__":
        import sys
        from werkzeug.serving import run_simple
        run_simple("127.0.0.1", int(sys.argv[1]), app)
    """, "app.py {port}"),
    "wsgiref": (WSGI + """
    if __name__ == "__main__":
        import sys
        from wsgiref.simple_server import make_server
        make_server("127.0.0.1", int(sys.argv[1]), app).serve_forever()
    """, "app.py {port}"),
    "aiohttp": ("""
        from aiohttp import web
        async def one(request): return web.json_response({})
        app = web.Application(); app.router.add_route("*", "/{tail:.*}", one)
        """, "-m aiohttp.web -H 127.0.0.1 -P {port} app:make"),
    "tornado": ("""
        import asyncio, sys, tornado.web
        class One(tornado.web.RequestHandler):
            def get(self): self.write({})
            post = get
        async def main():
            tornado.web.Application([(".*", One)]).listen(int(sys.argv[1]), "127.0.0.1")
            await asyncio.Event().wait()
        asyncio.run(main())
        """, "app.py {port}"),
    "sanic": ("""
        from sanic import Sanic, json
        app = Sanic("one")
        @app.route("/<path:path>", methods=["GET", "POST"])
        async def one(request, path): return json({})
        if __name__ == "__main__":
            import sys
            app.run("127.0.0.1", int(sys.argv[1]), single_process=True)
        """, "app.py {port}"),
}  # fmt: skip
NODE_SERVER = """
    require("http").createServer((q, r) => {
        q.resume(); r.setHeader("Content-Type", "application/json"); r.end("{}");
    }).listen(+process.argv[1], "127.0.0.1");
    """
NGINX = """
    daemon off; master_process off; pid nginx.pid; error_log error.log;
    events {{}}
    http {{ access_log off; server {{ listen 127.0.0.1:{port}; location / {{
        default_type application/json; return 200 '{{}}'; }} }} }}
    """


class Ear:
    """Listens, answers, and keeps the heads."""

    def __init__(self):
        self.heads = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            one, _ = self.socket.accept()
            threading.Thread(target=self._answer, args=(one,), daemon=True).start()

    def _answer(self, one):
        with one:
            data = b""
            while b"\r\n\r\n" not in data:
                if not (piece := one.recv(65_536)):
                    return
                data += piece
            self.heads.append(data[: data.index(b"\r\n\r\n") + 4])
            with contextlib.suppress(OSError):
                one.sendall(ANSWER)
                one.shutdown(socket.SHUT_WR)
                while one.recv(65_536):
                    pass


def run(argv, **more):
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False, **more)


def client_commands(port):
    """Programs that send four requests each, by name, with their version."""
    url, headers = f"http://127.0.0.1:{port}/v2/models/m/infer", json.dumps(HEADERS)
    start = f"U = {url!r}; P = {port}; D = {BODY!r}; B = {BODY}; H = {HEADERS!r}\n"
    for name, code in PYTHON_CLIENTS.items():
        yield name, version_of(name), [sys.executable, "-c", start + textwrap.dedent(code)]
    if node := shutil.which("node"):
        number = run([node, "--version"]).stdout.strip()
        yield "node http", number, [node, "-e", NODE, url, BODY, headers]
        yield "node fetch", number, [node, "-e", FETCH, url, BODY, headers]
    if curl := shutil.which("curl"):
        number = run([curl, "--version"]).stdout.split()[1]
        more = [part for pair in HEADERS.items() for part in ("-H", ": ".join(pair))]
        kinds = ([], ["--json", BODY], ["-d", BODY, *more], ["-X", "PUT", "-d", BODY])
        yield "curl", number, ["sh", "-c", " ; ".join(
            " ".join(map(_quoted, [curl, "-s", *kind, url])) for kind in kinds)]  # fmt: skip
    if wrk := shutil.which("wrk"):
        yield "wrk", "", [wrk, "-d", "1s", "-c", "1", "-t", "1", url]
    if ab := shutil.which("ab"):
        yield "ab", "", [ab, "-q", "-n", "1", url]


def _quoted(word):
    return "'" + word.replace("'", "'\\''") + "'"


def version_of(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return sys.version.split()[0]


def from_clients():
    for name, number, _ in list(client_commands(0)):
        ear = Ear()
        (command,) = [argv for other, _, argv in client_commands(ear.port) if other == name]
        done = run(command)
        if ear.heads:
            heads = ear.heads[:4]
            yield {"name": name, "version": number, "heads": [h.decode("latin-1") for h in heads]}
        else:
            print("no client:", name, done.stderr[-200:])


def ask(port, seconds=10.0):
    """The head of a server's answer on a connection that stays."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as one:
            one.settimeout(2)
            one.sendall(QUESTION)
            data = b""
            while b"\r\n\r\n" not in data and (piece := one.recv(65_536)):
                data += piece
            if data:
                return data[: data.index(b"\r\n\r\n") + 4].decode("latin-1")
        time.sleep(0.1)
    return ""


def server_commands(folder, port):
    for name, (code, command) in SERVERS.items():
        place = folder / name
        place.mkdir(exist_ok=True)
        text = textwrap.dedent(code)
        if name == "aiohttp":
            text += "\ndef make(argv): return app\n"
        (place / "app.py").write_text(text)
        yield name, version_of(name), place, f"exec {sys.executable} {command.format(port=port)}"
    if node := shutil.which("node"):
        number = run([node, "--version"]).stdout.strip()
        yield "node", number, folder, f"exec {node} -e {_quoted(NODE_SERVER)} {port}"
    if nginx := shutil.which("nginx"):
        (folder / "nginx.conf").write_text(NGINX.format(port=port))
        number = run([nginx, "-v"]).stderr.split("/")[-1].strip()
        yield "nginx", number, folder, f"exec {nginx} -p {folder} -c nginx.conf"


def from_servers():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for place_in_list in range(len(list(server_commands(folder, 0)))):
            port = free_port()
            server, number, place, command = list(server_commands(folder, port))[place_in_list]
            process = subprocess.Popen(
                ["sh", "-c", command], cwd=place, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
            head = ask(port)
            os.killpg(process.pid, signal.SIGKILL)  # of this session only: workers too
            process.wait()
            if head:
                yield {"name": server, "version": number, "heads": [head]}
            else:
                print("no server:", server)


def merged(before, now):
    return [*({one["name"]: one for one in [*before, *now]}).values()]


def main():
    before = json.loads(KEPT.read_text()) if KEPT.exists() else {"clients": [], "servers": []}
    found = {
        "clients": merged(before["clients"], from_clients()),
        "servers": merged(before["servers"], from_servers()),
    }
    KEPT.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
