"""Which engine a command talks to, and as which app: told by the environment, or by an engine that
runs on this machine and has left a note."""

from __future__ import annotations

import getpass
import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from attrs import asdict, evolve, field, frozen

from utd_rx.cli.options import F
from utd_rx.cli.progress import hush_livekit, progress
from utd_rx.errors import invalid

if TYPE_CHECKING:
    from utd_rx.client import UTDStreamClient
    from utd_rx.rest.client import UTDApiClient

APP_ID: Final = "UTD_APP_ID"
APP_KEY: Final = "UTD_APP_KEY"
"""An argument could be read by every user of the machine, so the key is none."""

ACCESS: Final = ("app_id", "app_key", "base_url", "token_base_url")

NOBODY: Final = f"no engine: run `utd-rx engine` in another terminal, or set {APP_ID} and {APP_KEY}"


@frozen
class EngineAccess:
    """An engine and an app of it; without an address it is the vendor's."""

    app_id: str
    app_key: str = field(repr=False)
    base_url: str | None = None
    token_base_url: str | None = None

    def client(self, **options: Any) -> UTDStreamClient:
        """Make a client; `options` are the rest of its own."""
        from utd_rx.client import UTDStreamClient

        where = {"base_url": self.base_url, "token_base_url": self.token_base_url}
        options |= {name: url for name, url in where.items() if url is not None}
        return UTDStreamClient(self.app_id, self.app_key, **options)

    def mint(self) -> UTDApiClient:
        """Make what mints: an HTTP client for `UTDApi`."""
        from utd_rx.rest.client import UTDApiClient

        where = self.token_base_url or UTDApiClient.DEFAULT_TOKEN_BASE_URL
        return UTDApiClient(where, app_id=self.app_id, app_key=self.app_key)


class EngineNote:
    """What `utd-rx engine` leaves for the commands of the same user, for as long as it runs.

    Args:
        environ: Says where the user's cache folder is.
        pid: Of the process that writes.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ, pid: int | None = None) -> None:
        cache = environ.get("XDG_CACHE_HOME")
        self._folder = (Path(cache) if cache else Path.home() / ".cache") / "utd-rx" / "engines"
        self._pid = os.getpid() if pid is None else pid
        self.path = self._folder / f"{self._pid}.json"

    def write(self, access: EngineAccess) -> None:
        """Leave the note, for its owner alone. No disk, no note."""
        draft = self.path.with_suffix(".new")
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            opener = partial(os.open, mode=0o600)
            with open(draft, "w", encoding="utf-8", opener=opener) as file:
                json.dump(asdict(access), file)
            draft.replace(self.path)

    def read(self) -> EngineAccess | None:
        """Return what the newest engine that runs here left, None when none does."""
        for path in sorted(self._folder.glob("*.json"), key=_age):
            with suppress(OSError, ValueError, LookupError, TypeError):  # gone, or not whole
                os.kill(int(path.stem), 0)
                left = json.loads(path.read_text(encoding="utf-8"))
                return EngineAccess(*(left[name] for name in ACCESS))
        return None

    def remove(self) -> None:
        """Take away what this process left."""
        with suppress(OSError):
            self.path.unlink()


def _age(path: Path) -> float:
    try:
        return -path.stat().st_mtime
    except OSError:  # taken away meanwhile
        return 0.0


def find_access(
    base_url: str | None = None,
    token_base_url: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> EngineAccess:
    """Return the app of the environment, else that of the engine that runs here.

    Raises:
        UTDStreamException: `VALIDATION` when there is neither.
    """
    app_id, app_key = environ.get(APP_ID), environ.get(APP_KEY)
    if app_id and app_key:
        return EngineAccess(app_id, app_key, base_url, token_base_url or base_url)
    left = EngineNote(environ).read()
    if left is None:
        raise invalid(NOBODY)
    given = {"base_url": base_url, "token_base_url": token_base_url or base_url}
    return evolve(left, **{name: url for name, url in given.items() if url})


def get_ready(base_url: str | None, token_base_url: str | None) -> EngineAccess:
    """`find_access`, and load what being in a session takes.

    Raises:
        UTDStreamException: As `find_access`, before anything is loaded.
    """
    access = find_access(base_url, token_base_url)
    with progress("getting ready"):
        import_module("utd_rx.cli.attending")
    hush_livekit()
    return access


def guest() -> str:
    """Return an identity for who names none: two terminals must not be one participant."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        user = "guest"
    return f"{user}-{secrets.token_hex(2)}"


def engine_access(command: F) -> F:
    """Add `--base-url` and `--token-base-url`, and who acts: `--as` and `--name`."""
    add = click.option
    options = (
        add("--as", "identity", metavar="IDENTITY", help="Who you are; a guest unless given."),
        add("--name", metavar="TEXT", help="A display name, for apps that show one."),
        add("--base-url", metavar="URL", envvar="UTD_BASE_URL", help="The engine's."),
        add("--token-base-url", metavar="URL", envvar="UTD_TOKEN_BASE_URL", help="Where it mints."),
    )
    for option in reversed(options):
        command = option(command)
    return command
