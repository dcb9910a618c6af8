"""Make `services` and `hostile` importable.

Thus: `from services.catalogue import SERVICES`, `from hostile import targets`. In importlib mode pytest
puts nothing on `sys.path`; both folders are plain namespace packages below this one. Outside pytest the
same names work with `PYTHONPATH=conformance/tests`.
"""

import gc
import sys
from pathlib import Path

_HERE = str(Path(__file__).parent)
if _HERE not in sys.path:
    sys.path.append(_HERE)


def pytest_collection_finish() -> None:
    """Collect garbage seldom: applications are built by the thousand here, and each search walks all that lives."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 10, 5)
