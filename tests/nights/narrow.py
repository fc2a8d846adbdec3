"""Nights in which every queue is short, and what takes minutes takes seconds: full queues are rare
otherwise, and a night has a few seconds."""

from __future__ import annotations

from router.control.fleet import compare, counted, reader, samples, workers
from router.control.outside import (
    alerts,
    extraction,
    hooks,
    judges,
    measure,
    outbox,
    outreach,
    scrapes,
)
from router.control.predictions import booked, watching
from router.control.rollouts import arrivals, keeping, run
from router.control.state import answered, sqlite
from router.control.told import announce, controller, foreseen, history

NARROW = {
    compare: {"QUEUE_PAIRS_MAX": 6, "AHEAD_PAIRS": 1},
    samples: {"QUEUE_SAMPLES_MAX": 6, "AHEAD_SAMPLES": 2, "BOOK_AT_ONCE": 2},
    counted: {"COUNTS_A_TURN": 1},
    reader: {"SILENT_S": 2.0},
    workers: {"CRASHES_MAX": 1},
    alerts: {"SHADOW_WINDOW_S": 2.0, "SHADOW_LEAST": 3, "LASTING_S": 0.5, "REPEAT_AFTER_S": 2.0},
    extraction: {"CLIENTS_MAX": 1},
    hooks: {"CALLS_AT_ONCE_MAX": 1},
    judges: {"ASKED_AT_ONCE": 1, "DRAWN_MAX": 3, "FAILURES_MAX": 1, "PAUSE_S": 0.5,
             "KEEP_EVERY_S": 1.0, "ANSWER_BYTES_MAX": 300},
    measure: {"ASKED_AT_ONCE_MAX": 1},
    outbox: {"QUEUE_MAX": 2, "AT_ONCE_MAX": 1},
    outreach: {"LOOKS_A_TURN": 1},
    scrapes: {"AT_ONCE_MAX": 1, "ANSWER_BYTES_MAX": 300},
    booked: {"TURN_MATURED": 1, "UNANSWERED_MAX": 1},
    watching: {"AGAIN_AFTER_S": 1.0, "STORE_EVERY_S": 1.0},
    arrivals: {"BATCHES_A_TURN": 1},
    keeping: {"SNAPSHOTS_A_TURN": 1},
    run: {"LOOKS_A_TURN": 1, "UNSAVED_ENTRIES_MAX": 2},
    answered: {"ANSWERS_A_TURN": 1},
    sqlite: {"QUEUE_MAX": 6, "TOGETHER_MAX": 2},
    announce: {"BEHIND_MAX": 2, "REPEAT_AFTER_S": 2.0},
    controller: {"WAITING_MAX": 1, "RESERVED": 1, "SUMMARIES_A_TURN": 1, "ROLLOUTS_A_TURN": 1},
    foreseen: {"FRESH_S": 0.5},
    history: {"POINTS_MAX": 4, "SPACING_MAX_S": 2.0, "SAMPLES_A_SECOND": 1, "SAMPLES_A_TURN": 1,
              "VERSIONS_MAX": 1},
}  # fmt: skip

_WIDE = {module: {name: getattr(module, name) for name in names}
         for module, names in NARROW.items()}  # fmt: skip


def bounds(*, narrow):
    """Put the small ones in place, or the product's own."""
    for module, names in (NARROW if narrow else _WIDE).items():
        for name, value in names.items():
            setattr(module, name, value)
