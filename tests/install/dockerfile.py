"""The steps of a Dockerfile, carried out in order in a bare folder instead of a container.

The root of every stage is one folder: paths of the image lie below it. What an engine does as root
to the system itself (packages, accounts) is not done, but has to be a command of :data:`NOT_DONE`.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

PATHS = re.compile(r"(?<![\w.])/(?=(?:opt|src|var/lib|var/cache|etc)\b)")
NOT_DONE = {
    "apt-get": "packages of the system; gcc has to be there already",
    "useradd": "an account",
}
STEP_S_MAX = 300


def instructions(path):
    """(word, rest) of every instruction, lines joined, comments gone."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE)
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word:
            yield word, rest.strip()


@dataclass
class Image:
    """One stage and what it has set so far."""

    root: Path
    context: Path
    environment: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    health: list[str] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)

    def here(self, text: str) -> str:
        """Paths of the image in a text, as paths below the root."""
        return PATHS.sub(f"{self.root}/", text)

    def env(self) -> dict[str, str]:
        """The variables of the image, and those by which pip finds its index."""
        mine = {key: self.here(value) for key, value in self.environment.items()}
        kept = {k: v for k, v in os.environ.items() if k.startswith("PIP_") or k == "HOME"}
        path = f"{self.root}/stubs:{Path(sys.base_prefix) / 'bin'}:{os.environ['PATH']}"
        mine["PATH"] = mine.get("PATH", "$PATH").replace("$PATH", path)
        return kept | mine

    def cwd(self) -> str:
        """The working directory, which an engine makes."""
        folder = self.here(self.workdir) if self.workdir != "/" else str(self.root)
        Path(folder).mkdir(parents=True, exist_ok=True)
        return folder

    def do(self, word: str, rest: str) -> None:
        """Carry out one instruction. KeyError for a word that nobody has taught this program."""
        {
            "ARG": lambda _: None, "COPY": self._copy, "RUN": self._run, "ENV": self._env,
            "WORKDIR": self._chdir, "USER": lambda _: None, "VOLUME": lambda _: None,
            "EXPOSE": lambda _: None, "STOPSIGNAL": lambda _: None, "HEALTHCHECK": self._health,
            "ENTRYPOINT": lambda r: self.entrypoint.extend(json.loads(r)),
            "CMD": lambda r: self.command.extend(json.loads(r)),
        }[word](rest)  # fmt: skip

    def _env(self, rest: str) -> None:
        self.environment |= dict(part.split("=", 1) for part in shlex.split(rest))

    def _chdir(self, rest: str) -> None:
        self.workdir = rest

    def _health(self, rest: str) -> None:
        self.health = json.loads(rest.partition("CMD ")[2])

    def _copy(self, rest: str) -> None:
        *sources, target = rest.split()
        if sources[0].startswith("--from="):
            assert Path(self.here(target)).exists(), f"{rest}: the other stage made no {target}"
            return
        for source in sources:
            origin, into = self.context / source, Path(self.cwd()) / target
            if origin.is_dir():
                ignore = shutil.ignore_patterns("__pycache__")
                shutil.copytree(origin, into, ignore=ignore, dirs_exist_ok=True)
            else:
                shutil.copy(origin, into)

    def _run(self, rest: str) -> None:
        said = subprocess.run(
            ["bash", "-ec", self.here(rest)], cwd=self.cwd(), env=self.env(), check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=STEP_S_MAX,
        )  # fmt: skip
        assert said.returncode == 0, f"RUN {rest}\n{said.stdout[-2_000:]}"


def built(path: Path, target: str, root: Path, context: Path) -> Image:
    """The image of a target, after the steps of the stages that it stands on."""
    stages: dict[str, tuple[str, list[tuple[str, str]]]] = {}
    for word, rest in instructions(path):
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stages[name] = (base, [])
        else:
            stages[name][1].append((word, rest))
    stubs = root / "stubs"
    stubs.mkdir(parents=True)
    for name in NOT_DONE:
        (stubs / name).write_text("#!/bin/sh\nexit 0\n")
        (stubs / name).chmod(0o755)
    (stubs / "install").write_text('#!/bin/sh\nfor last; do :; done\nmkdir -p "$last"\n')
    (stubs / "install").chmod(0o755)
    return _stage(stages, target, root, context, {})


def _stage(stages, name, root, context, done):
    if name not in done:
        base, steps = stages[name]
        image = Image(root, context)
        if base in stages:
            below = _stage(stages, base, root, context, done)
            image.environment, image.workdir = dict(below.environment), below.workdir
        for word, rest in steps:
            if other := re.match(r"--from=(\S+)", rest):
                _stage(stages, other[1], root, context, done)
            image.do(word, rest)
        done[name] = image
    return done[name]
