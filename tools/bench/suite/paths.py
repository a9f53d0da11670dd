# SPDX-License-Identifier: MIT
"""Where things are."""

import os
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
ROOT = BENCH.parent.parent
BUILD = ROOT / "build" / "release"
PROGRAMS = BUILD / "tools" / "bench"

# Debian's packages are seen by Debian's Python only.
PYTHON = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
