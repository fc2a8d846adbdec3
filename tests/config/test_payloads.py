"""A payload by its name: what a worker needs where answers are read in the data path."""

from __future__ import annotations

import sys

import pytest

from router.config.payloads import payload
from router.core.payloads import PAYLOADS

CODE = """
class Csv:
    def read(self, body):
        return body

class NoPayload:
    pass
"""


@pytest.fixture
def acme(tmp_path, monkeypatch):
    """A package with a payload and something that is none."""
    (tmp_path / "acme_csv.py").write_text(CODE)
    info = tmp_path / "acme_csv-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-csv\nVersion: 1.0\n")
    entries = "[rampway.payloads]\ntsv = acme_csv:Csv\nnone = acme_csv:NoPayload\n"
    (info / "entry_points.txt").write_text(entries)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    PAYLOADS.pop("tsv", None)
    sys.modules.pop("acme_csv", None)


def test_our_own_are_at_hand():
    assert payload("json") is PAYLOADS["json"]


def test_an_installed_one_is_made_once(acme):
    assert payload("tsv").read(b"a,b") == b"a,b"
    assert payload("tsv") is PAYLOADS["tsv"]


def test_what_is_none_is_refused(acme):
    with pytest.raises(TypeError, match="expected a class with the method read"):
        payload("none")


def test_what_nobody_installed_is_named(acme):
    with pytest.raises(LookupError, match="no installed package has the payload 'protobuf'"):
        payload("protobuf")
