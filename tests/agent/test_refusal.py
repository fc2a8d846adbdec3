"""A table that is refused: the one who refuses is not ended for it, and why is said."""

from types import SimpleNamespace

from router.control.fleet.workers import APPLY_TIMEOUT_S, WorkerProcess
from router.core.wire.reporter import WorkerId


def test_who_refuses_a_table_has_answered_and_who_says_nothing_has_not():
    process = SimpleNamespace(pid=1)
    one = WorkerProcess(WorkerId("here", 1, 0), process, None, applied=1, hello=True, sent=2)
    late = APPLY_TIMEOUT_S + 1.0
    one.heard_s = late
    assert "did not confirm" in one.fault(late)
    one.refused = 2
    assert one.fault(late) == ""
    one.sent = 3
    assert "did not confirm" in one.fault(late)
