"""Threads that a cancelled run leaves behind: what comes next waits for them, and no longer than it must."""

import threading
import time

from auth_conformance.loop import BESIDE, wait_for_those_left


def test_those_left_behind_are_waited_for_and_no_others() -> None:
    done, others = threading.Event(), threading.Event()

    def work() -> None:
        time.sleep(0.3)
        done.set()

    threading.Thread(target=work, name=BESIDE, daemon=True).start()
    threading.Thread(target=others.wait, name="somebody else's", daemon=True).start()
    assert wait_for_those_left(30.0)
    assert done.is_set()
    others.set()


def test_one_that_does_not_end_is_left() -> None:
    ends = threading.Event()
    threading.Thread(target=ends.wait, name=BESIDE, daemon=True).start()
    before = time.monotonic()
    assert not wait_for_those_left(0.2)
    assert time.monotonic() - before < 10
    ends.set()
