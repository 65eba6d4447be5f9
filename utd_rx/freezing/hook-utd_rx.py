"""PyInstaller's hook of utd_rx: what is loaded by name, its data, and LiveKit's native library."""

from PyInstaller.utils.hooks import collect_data_files, collect_dynamic_libs

hiddenimports = ["utd_rx.audio.adapter", "utd_rx.rtc.platform_audio", "utd_rx.rtc.processing"]
datas = collect_data_files("utd_rx") + collect_data_files("livekit")
binaries = collect_dynamic_libs("livekit")
# Only named for type checkers, and half of all packages behind it; a program that needs it imports
# `utd_rx.testing` itself.
excludedimports = ["utd_rx.testing"]
