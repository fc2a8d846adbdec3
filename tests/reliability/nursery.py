"""Lives of the real control process, forked from one that has imported everything already.

For each line "POLICY LOG FAIL" on standard input a child runs the policy (its workers are real
processes) and its pid is printed. FAIL is "-" or "STAGE:N": the child is killed, by itself, in the
N-th transaction at that stage of the store (begin, written, committed). "trace:FILE" writes every
stage with its time to FILE instead.
"""

import functools
import os
import signal
import sys
import time

from router import main
from router.control.state.sqlite import SqliteStore


def fail_point(fail):
    kind, _, rest = fail.partition(":")
    if kind == "trace":
        trace = os.open(rest, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return lambda stage: os.write(trace, f"{stage} {time.monotonic()}\n".encode())
    counted = 0

    def die(stage):
        nonlocal counted
        counted += stage == kind
        if rest and counted == int(rest):
            os.kill(os.getpid(), signal.SIGKILL)

    return die


def live(policy, log, fail):
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(os.path.dirname(policy))  # noqa: PTH120 - what lies beside no store lies there
    main.SqliteStore = functools.partial(SqliteStore, fail_point=fail_point(fail))
    os._exit(main.main([policy, "--log", "json"]))


signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
for line in sys.stdin:
    policy, log, fail = line.split()
    pid = os.fork()
    if pid == 0:
        try:
            live(policy, log, fail)
        finally:
            os._exit(70)
    print(pid, flush=True)
