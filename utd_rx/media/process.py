"""`MediaProcess`: the child in which rooms and devices live, from its start to its end.

A plain subprocess: `multiprocessing` would run an unguarded script a second time. It has a session
of its own, so that a Ctrl-C at the terminal is the app's alone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import weakref
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from utd_rx.audio.handle import BackendName, port_of
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.media.child import HUNG, LOGGERS, OTHER, STAMP
from utd_rx.media.near import Near, NearEnd, closed
from utd_rx.media.near_audio import NearAudio
from utd_rx.media.near_room import NearRoom
from utd_rx.media.wire import Beat, ChildLog
from utd_rx.models.secrets import foreign_text
from utd_rx.ports.audio import AudioPort
from utd_rx.ports.room import RoomPort
from utd_rx.state.reports import report

N = TypeVar("N", bound=Near)

BOOT: Final = (
    f"import faulthandler; faulthandler.dump_traceback_later({HUNG}, exit=True); "
    "import sys; sys.path[:] = sys.argv[6:]; from utd_rx.media import child; "
    f"getattr(child, 'STAMP', '') == sys.argv[5] or sys.exit({OTHER!r}); "
    "child.main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:5])"
)
"""It ends by itself even where an import hangs; from its first sign of life on it sees to that. Of
another version than the app it calls nothing, as it may expect something else."""

LOOK: Final = 0.5
"""Seconds between looks whether the child still says something."""

SILENCE: Final = 5.0
"""Seconds of this loop's running without a sign of life, after which the child is given up."""

PATIENCE: Final = 30.0
"""As much while it starts: on a machine that is busy, importing takes long."""

BUSY: Final = 10.0
"""As much while its loop is at work, which it may be for long on such a machine, or for ever."""

HURRY: Final = 1.0
"""As much while the app waits to have left a room or closed a device, which asks for a sign of life
at each look."""

HOSTED: Final = "utd_rx.media.hosted"
"""What makes the ports."""

ENDING: Final = 1.5
"""Seconds for the child to leave its rooms and go, when it is told to."""

REAP: Final = 0.005
"""Seconds between looks whether a child whose socket is closed has ended."""

MAX_WORDS: Final = 500
"""Characters of them that are told."""

TAIL: Final = 8 * 1024
"""Bytes of what the child said last that are looked at."""


class MediaProcess:
    """A child process, the ports that live there, and its end. It is not started again.

    It starts at once and is used on any loop; what is called before it is up waits for it.

    Args:
        modules: What it imports before it serves, by name, with spaces between.

    Raises:
        UTDStreamException: `FEATURE_DISABLED`: no process can be started here.
    """

    def __init__(self, modules: str = HOSTED) -> None:
        with ExitStack() as undo:
            try:
                pair = socket.socketpair()
                with pair[0], pair[1]:
                    near, far = (socket.socket(fileno=_high(one.detach())) for one in pair)
                undo.callback(near.close)
                with far:
                    self._words = _high(os.memfd_create("utd_rx last words"))
                    undo.callback(os.close, self._words)
                    near.setblocking(False)
                    self._child = _start(far.fileno(), self._words, modules)
            except Exception as error:
                # Whatever it is: a sandbox that refuses, no descriptors left, an odd sys.path.
                why = getattr(error, "strerror", None) or type(error).__name__
                raise UTDStreamException(
                    f'no media process can be started here ({why}): pass media="inline"',
                    code=UTDErrorCode.FEATURE_DISABLED,
                ) from error
            undo.pop_all()
        self._end = NearEnd(near, self._broken, self._watch)
        self._end.handlers.update({ChildLog: _log, Beat: _nothing})
        self._listeners: dict[object, Callable[[UTDStreamException], None]] = {}
        self._failure: str | None = None
        self._silent = self._idle = self._unanswered = self._seen = self._work = 0
        self._closing: asyncio.Task[None] | None = None
        self._left = weakref.finalize(self, _leave, self._child, self._end, self._words)

    def __repr__(self) -> str:
        return f"<MediaProcess {self.pid}{'' if self._failure is None else ', ended'}>"

    @property
    def pid(self) -> int:
        """The child's."""
        return self._child.pid

    @property
    def failure(self) -> UTDStreamException | None:
        """Why it is over, None while it is not."""
        return None if self._failure is None else self._failed()

    @property
    def has_come_up(self) -> bool:
        """Whether it has ever given a sign of life."""
        return self._end.messages > 0

    @property
    def has_served(self) -> bool:
        """Whether anybody has had an answer from it."""
        return self._end.has_answered

    @property
    def has_left(self) -> bool:
        """Whether it has died of SIGTERM, at which it leaves its rooms first."""
        return self._child.returncode == -signal.SIGTERM

    @property
    def unread(self) -> int:
        """Slots of sound that came faster than the app has read them."""
        return self._end.unread

    def room(self, **options: Any) -> RoomPort:
        """Return a room that lives there, a `UTDRoom` with these options."""
        return cast("RoomPort", self.port(NearRoom, RoomPort, f"{HOSTED}:room", **options))

    def audio(self, backend: BackendName = "portaudio") -> AudioPort:
        """Return a port of devices that live there; `VALIDATION` for no backend."""
        near = partial(NearAudio, abilities=port_of(backend).abilities)
        there = self.port(near, AudioPort, f"{HOSTED}:audio", backend)
        return cast("AudioPort", there)

    def port(
        self,
        near: Callable[[NearEnd, int, type], N],
        shape: type,
        factory: str,
        *args: Any,
        **kwargs: Any,
    ) -> N:
        """Return what stands for a port that lives there.

        Args:
            near: What stands for it: a `Near`.
            shape: A class that has the port's methods.
            factory: `module:name` of what makes it, called there on its loop.
            args: What it is called with.
            kwargs: Likewise.
        """
        return self._end.make(near, shape, factory, *args, **kwargs)

    def on_end(self, tell: Callable[[UTDStreamException], None]) -> Callable[[], None]:
        """Have `tell` called on the loop when the child has died, after everything that was under
        way there has failed; not for `aclose`. Call the result to stop."""
        key = object()
        self._listeners[key] = tell

        def stop() -> None:
            self._listeners.pop(key, None)

        return stop

    def kill(self) -> None:
        """End the child at once, as if it had died."""
        _kill(self._child)

    async def aclose(self) -> None:
        """Leave all rooms, close all devices, end the child. Idempotent, safe to call concurrently;
        cancelling lets it go on. Bounded in time: after `ENDING` the child is killed."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="utd_rx: end a media process")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._listeners.clear()
        self._end.fail(partial(closed, "media process"))
        with suppress(TimeoutError):
            async with asyncio.timeout(ENDING):
                while self._child.poll() is None:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(REAP)
        _kill(self._child)
        self._left()

    # -- watching ---------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Look whether the child says something. A loop that stood still looks once, and finds what
        came meanwhile before it has looked as often as it takes."""
        loop = self._end.pipe.loop
        if self._failure is not None or self._closing is not None or loop is None:
            return
        work = _work(self.pid)
        is_heard, is_at_work = self._end.messages != self._seen, work != self._work
        self._silent = 0 if is_heard else self._silent + 1
        self._idle = 0 if is_heard or is_at_work else self._idle + 1
        self._unanswered = min(self._unanswered + 1, self._idle) if self._end.endings else 0
        self._seen, self._work = self._end.messages, work
        silent, idle = self._silent * LOOK, self._idle * LOOK
        is_up = bool(self._seen)
        if self._end.endings:
            self._end.pipe.post(Beat())  # which it answers
        is_still = idle >= SILENCE or self._unanswered * LOOK > HURRY
        if (is_up and is_still) or silent >= (BUSY if is_up else PATIENCE):
            _kill(self._child)
            self._over(f"silent for {silent:g} s")
        else:
            loop.call_later(LOOK, _weakly(self._watch))

    def _broken(self, error: UTDStreamException | None) -> None:
        if error is None:
            self._reap(ENDING)
        else:
            _kill(self._child)
            self._over(error.message)

    def _reap(self, patience: float) -> None:
        """Wait until a child whose socket is closed has ended, as it has, or all but."""
        if (status := self._child.poll()) is not None:
            self._over(_ending(status))
        elif patience <= 0:
            _kill(self._child)
            self._over("it closed its socket")
        else:
            asyncio.get_running_loop().call_later(REAP, self._reap, patience - REAP)

    def _over(self, how: str) -> None:
        if self._failure is not None or self._closing is not None:
            return
        words = _tail(self._words)
        self._failure = f"the media process ended ({how})" + (f": {words}" if words else "")
        self._end.fail(self._failed)
        self._left()
        for tell in tuple(self._listeners.values()):
            try:
                tell(self._failed())
            except BaseException as error:  # noqa: BLE001 - reported, or an interrupt and raised
                report(error, "a listener of a media process")

    def _failed(self) -> UTDStreamException:
        return UTDStreamException(self._failure or "", code=UTDErrorCode.NETWORK)


def _high(opened: int) -> int:
    """Return a descriptor in the place of another, behind the standard streams, which somebody may
    have closed: whoever means those writes to what has their numbers, and a child replaces it."""
    import fcntl  # not everywhere, and only who starts a process comes here

    try:
        return fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(opened)


def _start(end: int, words: int, modules: str) -> subprocess.Popen[bytes]:
    options = ["-I", *(["-B"] if sys.dont_write_bytecode else [])]
    path = [str(Path(entry).absolute()) for entry in sys.path]
    levels = " ".join(str(logging.getLogger(name).getEffectiveLevel()) for name in LOGGERS)
    told = [str(end), str(os.getpid()), modules, levels, STAMP]
    return subprocess.Popen(  # noqa: S603 - this interpreter, with our own words
        [sys.executable, *options, "-c", BOOT, *told, *path],
        stdin=subprocess.DEVNULL,
        stdout=words,
        stderr=words,
        pass_fds=[end],
        start_new_session=True,
    )


def _log(line: ChildLog, descriptors: tuple[int, ...]) -> None:
    logging.getLogger(line.name).log(line.level, "%s", line.text)


def _nothing(beat: Beat, descriptors: tuple[int, ...]) -> None:
    """That it came is all."""


def _leave(child: subprocess.Popen[bytes], end: NearEnd, words: int) -> None:
    """Close the socket, at which the child leaves and ends, and see to it that it does."""
    end.pipe.close()
    try:
        child.wait(ENDING if child.poll() is None else 0)
    except subprocess.TimeoutExpired:
        if _kill(child):
            child.wait()
    finally:
        os.close(words)


def _kill(child: subprocess.Popen[bytes]) -> bool:
    """Return whether that was allowed, as it is not to an app that has fewer rights by now."""
    try:
        child.kill()
    except PermissionError:
        return False
    return True


def _tail(words: int) -> str:
    """Return what it said last; of Python's own account of its end the beginning."""
    size = os.fstat(words).st_size
    tail = os.pread(words, TAIL, max(0, size - TAIL)).decode(errors="replace")
    said, _, account = tail.partition("Fatal Python error: ")
    return (
        foreign_text(said, max_text=TAIL)[-MAX_WORDS:]
        or foreign_text(account, max_text=TAIL)[:MAX_WORDS]
    )


def _ending(status: int) -> str:
    if status == 0:  # which `Popen` makes of one that is lost, as where SIGCHLD is ignored
        return "exit status 0, or one that the app has taken itself"
    if status > 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


def _work(pid: int) -> int:
    """Return how much its main thread, whose loop it is, has worked; in ticks of the kernel."""
    with suppress(OSError):
        words = Path(f"/proc/{pid}/task/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(words[11]) + int(words[12])
    return 0


def _weakly(method: Callable[[], None]) -> Callable[[], None]:
    """Return what calls a method of something that it does not keep alive."""
    reference = weakref.WeakMethod(method)

    def call() -> None:
        if (alive := reference()) is not None:
            alive()

    return call
