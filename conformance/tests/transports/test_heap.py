"""Threads of an application in this process share one heap, unless its user has decided otherwise."""

import subprocess
import sys

import pytest

from auth_conformance.transports.heap import share

# Five threads, all alive, use the same large block one after another, as workers that hash passwords do.
GREEDY = """
import ctypes, sys, threading
from auth_conformance.transports.heap import share
agreed = sys.argv[1] == "share" and share()
size, gate, done = 12 << 20, threading.Barrier(6), threading.Event()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
def use():
    block = libc.malloc(size)
    ctypes.memset(block, 1, size)
    libc.free(block)
def work(turn):
    for number in range(6):
        gate.wait()
        if number == turn:
            use()
    gate.wait()
    done.wait()
use()
threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
[thread.start() for thread in threads]
[gate.wait() for _ in range(7)]
held = "/proc/self/statm"
kept = int(open(held).read().split()[1]) * 4096 if agreed or sys.argv[1] == "leave" else 0
done.set()
print(agreed, kept)
"""


def kept(how: str) -> tuple[str, int]:
    out = subprocess.run(
        [sys.executable, "-c", GREEDY, how], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    return out[0], int(out[1])


def test_what_a_thread_has_freed_is_used_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)
    agreed, shared = kept("share")
    # Another C library than glibc has nothing to agree to.
    assert agreed == "False" or kept("leave")[1] - shared > 30 << 20


@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES"])
def test_what_its_user_has_decided_stays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "4")
    assert not share()
