"""What a gate lives on. Each need has a producer, or the policy is refused.

A gate names its needs (:attr:`Gate.needs`), and nobody asks for its name or its class: the checker
asks :data:`router.core.policy.producers.PRODUCERS` whether this route makes what it lives on, the
judge where it can learn, the simulator whether it makes it too. A gate that is never fed would take
its share of the evidence all the same and make the others slower.
"""

from __future__ import annotations

from enum import StrEnum


class Need(StrEnum):
    """One kind of evidence."""

    ROWS = "rows"
    """Counted answers of the candidate, whoever sent the requests to it."""
    COIN = "coin"
    """Counted answers of both versions to requests between which a coin decided."""
    BOTH = "both"
    """Answers of both versions: to requests between which a coin decided, or to the same ones."""
    PAIRS = "pairs"
    """Both versions' answers to the same request."""
    PREDICTIONS = "predictions"
    """Rows of live answers, read from sampled requests of both versions."""
    PIECES = "pieces"
    """When the pieces of live answers came."""
    LABEL = "label"
    """Which part of a prediction is the class that it says."""
    SCORE = "score"
    """Which part of a prediction is its score."""
    LABELS = "labels"
    """The truth about predictions, when it becomes known."""
    TRUTHS = "truths"
    """The same, joined with what was predicted and at which coin: by the prediction log."""
    SCORES = "scores"
    """A number in each answer."""
    FEATURES = "features"
    """What requests ask about."""
    FED = "fed"
    """What becomes of its answers where other routes use them."""
    USAGE = "usage"
    """What versions say about themselves: memory, CPU, GPU, queue."""
    PRICES = "prices"
    """What the candidate costs."""
    OUTSIDE = "outside"
    """Answers of a system outside."""
