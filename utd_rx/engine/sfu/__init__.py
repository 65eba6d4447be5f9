"""A small forwarding SFU that unmodified LiveKit clients connect to, inside a Python process.

For development and tests only: no congestion control, no TURN, one machine. It forwards encoded
RTP and never decodes or encodes.
"""
