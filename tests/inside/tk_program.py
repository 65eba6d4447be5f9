"""A window beside a session: Tk has the main thread, the session a loop on another."""

from __future__ import annotations

import tkinter

from tests.sessions.stage import Stage
from utd_rx import LoopThread
from utd_rx.sessions.audio_room import UTDAudioRoomSession

PATIENCE_MS = 20_000


async def joined() -> UTDAudioRoomSession:
    session = Stage().session
    await session.join()
    return session


def main() -> None:
    root = tkinter.Tk()
    label = tkinter.Label(root)
    label.pack()
    with LoopThread() as loop:
        room = loop.run(joined)

        def look() -> None:
            label["text"] = " ".join(seat.identity or "-" for seat in room.seats.value.seats)
            if "me" in label["text"]:
                print("shown:", label["text"])
                root.destroy()
            else:
                root.after(10, look)

        def sit() -> None:
            room.from_thread.submit(room.take_seat, 1)

        button = tkinter.Button(root, text="sit", command=sit)
        button.pack()
        root.after(0, look)
        root.after(10, button.invoke)
        root.after(PATIENCE_MS, root.destroy)
        root.mainloop()
        loop.run(room.aclose)
    print("over:", room)


if __name__ == "__main__":
    main()
