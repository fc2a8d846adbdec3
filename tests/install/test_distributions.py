"""`pip install` of the built wheel, in a bare environment of each Python that is to be had."""

import contextlib
import json
import os
import re
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from pathlib import Path

import pytest

from tests.install.serving import wait_ready
from tests.install.shell import BUILDER, ROOT, run
from tests.ports import free_port

pytestmark = [pytest.mark.install, pytest.mark.timeout(600)]

PYTHONS = ("3.11", "3.12", "3.13")
INSTALLED_MB_MAX = 70


def interpreter(version):
    """A Python of this version that runs, from the path or from pyenv, or None."""
    kept = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    for path in (f"python{version}", *sorted(kept.glob(f"{version}.*/bin/python"))):
        with contextlib.suppress(OSError):
            said = subprocess.run([path, "-V"], capture_output=True, text=True, check=False)
            if said.stdout.startswith(f"Python {version}."):
                return path
    return None


@pytest.fixture(scope="module", params=PYTHONS)
def bare(request, wheel, tmp_path_factory):
    """An environment with the wheel and what it asks for, and nothing else."""
    python = interpreter(request.param)
    if python is None:
        pytest.skip(f"no Python {request.param} on this machine")
    folder = tmp_path_factory.mktemp(f"bare{request.param}")
    run(python, "-m", "venv", folder)
    run(folder / "bin/python", "-m", "pip", "install", "--quiet", wheel)
    run(folder / "bin/python", "-m", "pip", "uninstall", "--quiet", "--yes", "setuptools", "pip")
    return folder


def said(bare, *arguments, cwd):
    """One line on stderr and the exit code of a verb that cannot run here."""
    ended = subprocess.run(
        [bare / "bin/rampway", *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    (line,) = ended.stderr.splitlines()
    return line, ended.returncode


def test_the_packages_of_an_index_are_in_order(built, wheel):
    out = run(BUILDER, "-m", "twine", "check", "--strict", *built.iterdir())
    assert out.count("PASSED") == 2
    run(BUILDER, "-m", "check_wheel_contents", wheel)


def test_the_sdist_brings_license_and_readme(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "pyproject.toml", "router/main.py"} <= names
    assert not [name for name in names if name.startswith((".venv", ".cache", "dist/"))]


def test_the_wheel_has_its_data_files(wheel):
    """Whatever lies beside the modules and is no module: pages, schemas, templates."""
    data = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "router").rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc", ".so")
    }
    assert data
    assert data <= set(zipfile.ZipFile(wheel).namelist())


def test_it_is_small(bare):
    size = sum(path.stat().st_size for path in bare.rglob("*") if path.is_file())
    print(f"{bare.name}: {size / 1e6:.1f} MB installed")
    assert size < INSTALLED_MB_MAX * 1e6


def test_what_an_extra_brings_is_named_in_one_line(bare, tmp_path):
    for verb, package, remedy in (
        (["demo"], "prediction_services", "pip install . ./deploy/services"),
        (["simulate", "x.yaml"], "numpy", "pip install '.[simulate]'"),
    ):
        line, code = said(bare, *verb, cwd=tmp_path)
        assert code == 2
        assert package in line
        assert line.endswith(remedy)


def test_every_verb_starts(bare, tmp_path):
    listed = run(bare / "bin/rampway", "--help", cwd=tmp_path)
    verbs = re.findall(r"^  ([a-z][a-z-]+)  ", listed, re.MULTILINE)
    assert {"check", "judge", "replay", "serve", "simulate", "store"} <= set(verbs)
    for verb in verbs:
        if verb != "simulate":
            run(bare / "bin/rampway", verb, "--help", cwd=tmp_path)


def test_it_routes(bare, tmp_path):
    """init, check, serve: an answer of one's own service comes through."""
    (tmp_path / "index.html").write_text("hello from a version")
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as service:  # fmt: skip
        try:
            port = service.stdout.readline().split(" port ")[1].split()[0]
            version = f"http://127.0.0.1:{port}"
            run(bare / "bin/rampway", "init", version, version, cwd=tmp_path)
            policy = tmp_path / "rampway.yaml"
            listen, admin = free_port(), free_port()
            text = policy.read_text().replace(":8080", f":{listen}").replace(":8081", f":{admin}")
            policy.write_text(text)
            run(bare / "bin/rampway", "check", policy, cwd=tmp_path)
            assert "hello from a version" in served(bare, policy, listen, admin, tmp_path)
        finally:
            service.terminate()


def served(bare, policy, listen, admin, folder):
    with subprocess.Popen(
        [bare / "bin/rampway", "serve", policy], cwd=folder, stderr=subprocess.PIPE, text=True
    ) as router:
        try:
            wait_ready(f"http://127.0.0.1:{admin}/readyz", router)
            with urllib.request.urlopen(f"http://127.0.0.1:{admin}/healthz", timeout=30) as health:
                assert json.load(health)["ok"] is True
            with urllib.request.urlopen(f"http://127.0.0.1:{listen}/", timeout=30) as answer:
                return answer.read().decode()
        finally:
            router.terminate()
