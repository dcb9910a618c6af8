"""One heap for all threads of an application that runs in this process."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys

# glibc's name for the most heaps of a process (mallopt(3)).
_M_ARENA_MAX = -8
# By these its user has decided already.
_DECIDED = ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES")


def share() -> bool:
    """Let threads take memory from one heap; return whether the C library agreed (glibc before its eighth heap).

    glibc gives a thread a heap of its own, which keeps the largest block that was ever freed there. An application
    that hashes passwords with 19 MiB each, in whichever of twenty threads is idle, so kept 250 MiB for nothing.
    """
    if not sys.platform.startswith("linux") or any(name in os.environ for name in _DECIDED):
        return False
    with contextlib.suppress(OSError, AttributeError):  # another C library
        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1))
    return False
