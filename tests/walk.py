"""Which functions of the router are called, and in what order: for pages that tell a life."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STAGE = re.compile(r"^\| (\d) \| [\w ]+ \| `(router/[\w/]+\.py)` `(\w+)` \|", re.MULTILINE)
STAGES_MAX = 9


def stages(page):
    """(file, function) of every stage that a page tells, in its order."""
    found = STAGE.findall((ROOT / "docs" / page).read_text())
    assert [int(number) for number, _, _ in found] == list(range(1, len(found) + 1))
    assert 5 <= len(found) <= STAGES_MAX
    return [(file, function) for _, file, function in found]


@contextmanager
def walked():
    """The first call of each function of the router in this thread, in order."""
    calls = {}

    def look(frame, event, _argument):
        if event == "call" and frame.f_code.co_filename.startswith(str(ROOT / "router")):
            file = str(Path(frame.f_code.co_filename).relative_to(ROOT))
            calls.setdefault((file, frame.f_code.co_name), None)

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        yield calls
    finally:
        sys.setprofile(before)


def in_order(page, calls):
    """What the page says that was not called, and the order of the rest."""
    told, seen = stages(page), list(calls)
    missing = [stage for stage in told if stage not in calls]
    assert missing == [], "the page names what this life does not pass"
    places = [seen.index(stage) for stage in told]
    assert places == sorted(places), [seen[place] for place in sorted(places)]
