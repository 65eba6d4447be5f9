"""What PyInstaller must know to put utd_rx into a frozen program: hooks that it finds by itself."""

from __future__ import annotations

from pathlib import Path


def hook_dirs() -> list[str]:
    """Return where the hooks are; PyInstaller's entry point."""
    return [str(Path(__file__).parent)]
