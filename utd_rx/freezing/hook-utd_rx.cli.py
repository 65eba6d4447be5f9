"""PyInstaller's hook of the command `utd-rx`, whose commands are loaded by name."""

from PyInstaller.utils.hooks import collect_submodules

hiddenimports = collect_submodules("utd_rx.cli")
