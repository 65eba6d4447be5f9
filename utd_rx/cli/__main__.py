"""As `python -m utd_rx`, for where the script is not on the PATH."""

from utd_rx.cli import main

raise SystemExit(main())
