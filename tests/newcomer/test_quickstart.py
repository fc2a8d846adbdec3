"""docs/quickstart.md typed from nothing, as printed, by somebody with only the system's Python."""

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

pytestmark = [pytest.mark.newcomer, pytest.mark.timeout(TYPED_S_MAX + 60)]


def pasted(page):
    """The page's commands as one text, with a line between them that tells where a block begins."""
    lines = ["set -e"]
    for number, (kind, text) in enumerate(BLOCK.findall(page)):
        lines.append(f"echo '--- block {number}'")
        if kind == "python":
            lines.append(f"cat > model.py <<'END_OF_FILE'\n{text}END_OF_FILE")
        else:
            lines.append(text.replace("/path/to/rampway", str(ROOT)))
            if text.rstrip().endswith("&"):
                lines.append("sleep 3")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    folder = tmp_path_factory.mktemp("newcomer")
    python = Path(sys.base_prefix) / "bin"
    bare = {"PATH": f"{python}:/usr/local/bin:/usr/bin:/bin", "HOME": str(folder)}
    bare |= {name: os.environ[name] for name in os.environ if name.startswith("PIP_")}
    shell = subprocess.run(
        ["bash", "-m", "-c", pasted(PAGE)], cwd=folder, env=bare, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TYPED_S_MAX,
    )  # fmt: skip
    assert shell.returncode in (0, 143), shell.stdout[-3_000:]
    return re.split(r"--- block \d+\n", shell.stdout)


def block(said, words):
    """What the block that has these words printed."""
    blocks = [text for _, text in BLOCK.findall(PAGE)]
    return said[1 + next(n for n, text in enumerate(blocks) if words in text)]


def test_init_and_check_are_content(said):
    assert "wrote rampway.yaml" in block(said, "rampway init")
    assert "rampway.yaml: ok" in block(said, "rampway check")


def test_every_request_is_answered(said):
    assert re.search(r"^ *400 200$", block(said, "seq 400"), re.MULTILINE)
    assert '{"minutes":19.0}' in block(said, "seq 400")


def test_it_can_be_watched(said):
    watched = block(said, "rampway get")
    assert "Progressing" in watched
    assert "100 % agree" in watched


def test_the_broken_version_is_taken_back_and_no_client_sees_it(said):
    broken = block(said, "BROKEN=yes")
    assert re.search(r"^ *1000 200$", broken, re.MULTILINE)
    assert "rolled_back" in broken
