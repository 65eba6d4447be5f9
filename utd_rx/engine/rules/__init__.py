"""The engine's decisions, pure: a command is `(state, actor, now) -> (state, effects, reply)`.

Nothing here does I/O, reads a clock or knows asyncio. An illegal command raises `Refusal` and
changes nothing; a fact (something the SFU reported) never raises. Effects say what the shell has
to do to the SFU, in order.
"""
