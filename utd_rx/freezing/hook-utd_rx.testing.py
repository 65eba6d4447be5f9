"""PyInstaller's hook of the fakes, for a program that has them in it."""

from PyInstaller.utils.hooks import collect_submodules

hiddenimports = collect_submodules("utd_rx.testing")
