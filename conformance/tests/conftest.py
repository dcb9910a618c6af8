"""Make `services` and `hostile` importable.

Thus: `from services.catalogue import SERVICES`, `from hostile import targets`. In importlib mode pytest
puts nothing on `sys.path`; both folders are plain namespace packages below this one. Outside pytest the
same names work with `PYTHONPATH=conformance/tests`.
"""

import functools
import gc
import inspect
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.dependencies import utils as dependencies
from hypothesis import HealthCheck, settings
from xdist.scheduler import WorkStealingScheduling

_HERE = str(Path(__file__).parent)
if _HERE not in sys.path:
    sys.path.append(_HERE)

# What an example takes is the machine's business: tests run beside other work.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")


def pytest_configure(config: pytest.Config) -> None:
    """Let the commands that tests start keep their bytecode: each would compile a thousand modules anew."""
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
        folder = tempfile.mkdtemp(prefix="auth-conformance-bytecode-")
        os.environ["PYTHONPYCACHEPREFIX"] = folder
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def pytest_collection_finish() -> None:
    """Collect garbage seldom: applications are built by the thousand here, and each search walks all that lives.

    What lives by now lives until the end: it is not walked again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 10, 5)
    _read_signatures_once()


def _read_signatures_once() -> None:
    """Let FastAPI read the signature of a dependency once, and not for each route that depends on it, twice.

    A fifth of what an application takes until it answers goes there. Few are kept: a function keeps its module.
    """
    read = dependencies.get_typed_signature
    kept = functools.lru_cache(maxsize=512)(read)

    def signature(call: Callable[..., Any]) -> inspect.Signature:
        try:
            return kept(call)
        except TypeError:  # no hash
            return read(call)

    dependencies.get_typed_signature = signature


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> WorkStealingScheduling | None:
    """Let a worker that is done take over what waits at another.

    xdist's usual way hands out hundreds of tests at a time, and with them all of the slow ones to one worker.
    """
    return WorkStealingScheduling(config, log) if config.getoption("dist") == "load" else None
