"""A web server with a session, whose streams browsers follow; it prints where it listens."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, WebSocket

from tests.sessions.stage import Stage
from utd_rx import StateFeed, UTDAudioRoomSession

rooms: list[UTDAudioRoomSession] = []


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with Stage().session as room:
        await room.join()
        rooms.append(room)
        yield
    print(json.dumps("the room is closed"), flush=True)


app = FastAPI(lifespan=lifespan)
app.mount("/seats", StateFeed(lambda scope: rooms[0].seats))


@app.websocket("/rooms/{number}/seats")
async def follow(number: int, browser: WebSocket) -> None:
    await StateFeed(rooms[number].seats)(browser.scope, browser.receive, browser.send)


@app.get("/state")
async def state() -> Any:
    return {"seats": rooms[0].seats.value, "stream": repr(rooms[0].seats)}


@app.post("/sit/{index}")
async def sit(index: int) -> None:
    if rooms[0].my_seat.value is None:
        await rooms[0].take_seat(index)
    else:
        await rooms[0].move_seat(index)


def main() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    print(json.dumps(f"http://127.0.0.1:{listening.getsockname()[1]}"), flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


if __name__ == "__main__":
    main()
