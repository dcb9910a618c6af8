"""Make `quality` importable, and hold Hypothesis to a time that shared machines can keep."""

import sys
from pathlib import Path

_HERE = str(Path(__file__).parent)
if _HERE not in sys.path:
    sys.path.append(_HERE)
