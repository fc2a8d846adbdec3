"""Generated pages are what their sources say now; `make docs` writes them anew."""

from pathlib import Path

import pytest

from tests.tidy import generate

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("path", generate.PAGES)
def test_page_is_current(path):
    assert (ROOT / path).read_text() == generate.PAGES[path](), f"run `make docs` for {path}"
