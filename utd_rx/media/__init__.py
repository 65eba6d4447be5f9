"""The media process: rooms and devices in a child interpreter, which a busy app does not disturb.

The adapters that serve the ports in the app's process serve them in the child. `near` stands for a
port in the app, `far` has it in the child, `wire` and `pipe` are what is between them.

What dies with a child is there again in the next one: `restoring_room` and `restoring_audio` are
ports that outlive it, by what is `wished`, and a `succession` starts the next.
"""
