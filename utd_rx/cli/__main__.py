"""`python -m utd_rx.cli`, for where the script is not on the PATH."""

from __future__ import annotations

import sys

from utd_rx.cli import main

sys.exit(main())
