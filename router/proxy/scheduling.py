"""What a worker asks of the kernel's scheduler: short turns, and so early ones.

Where control and a worker share a core, a request that arrives while control judges waits until
control has had its turn, up to some milliseconds. Since Linux 6.12 a thread may say how long its
own turns shall be; whose turns are short is let in before the others have ended theirs. The shares
of the core stay as they are, so a rollback does not wait behind the load; no rights are needed.
Older kernels take the wish and do nothing.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from typing import Final

TURN_NS: Final = 100_000
"""The shortest that Linux grants; a request takes half of it."""
CALLS: Final = {"x86_64": 314, "aarch64": 274}
"""The number of ``sched_setattr``, which neither Python nor an older libc has by name."""
KEEP_POLICY: Final = 0x08
WISH: Final = struct.Struct("=IIQiIQQQ")
"""Its size, policy, flags, niceness, priority, runtime, deadline, period."""


def ask_for_short_turns() -> bool:
    """Ask for it, for this process; False where that is refused or unknown. All else stays."""
    call = CALLS.get(platform.machine())
    if call is None or platform.system() != "Linux":
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    wish = WISH.pack(WISH.size, 0, KEEP_POLICY, nice, 0, TURN_NS, 0, 0)
    try:
        refused: int = ctypes.CDLL(None).syscall(call, 0, wish, 0)
    except (OSError, AttributeError):  # no library with that function here
        return False
    return not refused
