"""PyInstaller's hook of the local engine, which is loaded by name."""

from PyInstaller.utils.hooks import collect_submodules

hiddenimports = collect_submodules("utd_rx.engine")
