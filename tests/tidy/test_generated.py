"""Generated pages are what their sources say now; `make docs` writes them anew."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("generate", Path(__file__).with_name("generate.py"))
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)


@pytest.mark.parametrize("path", generate.PAGES)
def test_page_is_current(path):
    assert (ROOT / path).read_text() == generate.PAGES[path](), f"run `make docs` for {path}"
