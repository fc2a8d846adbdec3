"""The optional compiled hot path: the same sources, through mypyc, in a wheel of this machine.

    RAMPWAY_COMPILE=1 pip install 'rampway[speed]' --no-binary rampway

Needs a C compiler. Without the variable the wheel is pure Python, and a compiled wheel still holds
the sources; there is no second implementation. Everything is built in a temporary copy: no compiled
file ever lies beside the sources of a checkout, where it would hide them.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMPILED = (
    "core/rollout/traffic",
    "http1/answers", "http1/chunks", "http1/framing", "http1/handshake", "http1/headers",
    "http1/limits", "http1/messages", "http1/parser", "http1/plain", "http1/reader",
    "http1/scan", "http1/switching", "http1/writer",
    "proxy/admission", "proxy/assign", "proxy/attempt", "proxy/downstream", "proxy/ending",
    "proxy/exchange", "proxy/matching", "proxy/mirror", "proxy/quota", "proxy/record",
    "proxy/rescue", "proxy/serving", "proxy/shared", "proxy/stage", "proxy/tracing",
    "proxy/tunnel", "proxy/upgrade", "proxy/upload",
    "telemetry/recorder", "telemetry/slices", "telemetry/users", "telemetry/versions",
    "upstream/balance", "upstream/blame", "upstream/breaker", "upstream/connection",
    "upstream/desk", "upstream/handshakes", "upstream/patience", "upstream/pool",
    "upstream/sockets", "upstream/tables", "upstream/waiter",
)  # fmt: skip
"""Modules that a request passes through, and those whose classes derive from theirs: what is
interpreted cannot derive from what is compiled."""

SETUP = """
from mypyc.build import mypycify
from setuptools import setup

options = ["--ignore-missing-imports", "--follow-imports=silent"]
modules = mypycify([*options, *{files!r}], opt_level="3")
setup(name="rampway-compiled", packages=[], ext_modules=modules)
"""


class CompiledHotPath(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's is untyped
    """Adds compiled modules to the wheel when RAMPWAY_COMPILE is set."""

    def dependencies(self) -> list[str]:
        """What only a compiled build needs."""
        wanted = ["mypy>=1.15", "setuptools>=75", "httptools", "xxhash", "msgspec"]
        return wanted if _asked() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile in a temporary copy and tell hatchling which files came of it."""
        if not _asked() or self.target_name != "wheel" or version == "editable":
            return
        self._folder = tempfile.TemporaryDirectory(prefix="rampway-compile-")
        built = compile_into(Path(self.root) / "router", Path(self._folder.name))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["force_include"].update({str(path): name for name, path in built.items()})

    def finalize(self, *_: object) -> None:
        """The wheel is written."""
        if hasattr(self, "_folder"):
            self._folder.cleanup()


def _asked() -> bool:
    return os.environ.get("RAMPWAY_COMPILE", "") not in ("", "0")


def compile_into(package: Path, folder: Path) -> dict[str, Path]:
    """Extension modules by their place in a wheel. Raises SystemExit with the compiler's words."""
    shutil.copytree(package, folder / "router", ignore=shutil.ignore_patterns("__pycache__"))
    files = [f"router/{name}.py" for name in COMPILED]
    (folder / "setup.py").write_text(SETUP.format(files=files))
    done = subprocess.run(
        [sys.executable, "setup.py", "build_ext", "--inplace"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"the hot path could not be compiled:\n{done.stdout}\n{done.stderr}")
    places = [*folder.glob("*.so"), *folder.glob("router/**/*.so")]
    return {str(path.relative_to(folder)): path for path in places}
