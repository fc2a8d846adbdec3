"""A folder of somebody new, with all that the quickstart installs and leaves when it is typed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/quickstart.md").read_text()
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TYPED_S_MAX = 600


def until_listening(port):
    """A line that ends when a program of ours listens there, a minute at most."""
    tries = "--retry 60 --retry-connrefused --retry-delay 1"
    return f"curl -s -o /dev/null {tries} http://127.0.0.1:{port}/"


def unhurried(text):
    """Whoever types the next line is slower than a program that ends."""
    return re.sub(r"^kill (%\d)$", r"kill \1; wait \1 || true", text, flags=re.MULTILINE)


def pasted(page):
    """The page's commands as one text, with a line between them that tells where a block begins."""
    lines = ["set -e"]
    for number, (kind, text) in enumerate(BLOCK.findall(page)):
        lines.append(f"echo '--- block {number}'")
        if kind == "python":
            name = "ask.py" if "sys.argv" in text else "model.py"
            lines.append(f"cat > {name} <<'END_OF_FILE'\n{text}END_OF_FILE")
        else:
            lines.append(unhurried(text.replace("/path/to/rampway", str(ROOT))))
            if text.rstrip().endswith("&"):
                ports = re.findall(r"--port (\d+)", text) or ["8080"]
                lines += [until_listening(int(port)) for port in ports]
    return "\n".join(lines) + "\n"


def typed(text, folder):
    """What a shell of somebody who has only the system's Python prints, and how it ends."""
    python = Path(sys.base_prefix) / "bin"
    bare = {"PATH": f"{python}:/usr/local/bin:/usr/bin:/bin", "HOME": str(folder)}
    bare |= {name: os.environ[name] for name in os.environ if name.startswith("PIP_")}
    shell = subprocess.run(
        ["bash", "-m", "-c", text], cwd=folder, env=bare, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TYPED_S_MAX,
    )  # fmt: skip
    return shell.stdout, shell.returncode


@pytest.fixture(scope="session")
def newcomer(tmp_path_factory):
    """The folder, and what the quickstart printed there."""
    folder = tmp_path_factory.mktemp("newcomer")
    out, code = typed(pasted(PAGE), folder)
    assert code in (0, 143), out[-3_000:]
    return folder, out


@pytest.fixture(scope="session")
def said(newcomer):
    """What each block of the quickstart printed, behind what came before the first."""
    return re.split(r"--- block \d+\n", newcomer[1])
