"""What a session's rules are told and what they ask for, beside the events of the room port.

*Facts* are past tense and never raise: whoever reports them is the authority. A fact that is drawn
from a message which proves nothing is a *hint*, and says so by its name. *Effects* are imperative:
what the shell must do; their results come back as facts, with the epoch (a local attempt) or
generation (the server's snapshots) they belong to, so that late ones are recognised.

Both are closed unions, one of each for every noun: `connection`, `media`, `seats`, `people`. The
row of a kind of session (`protocol.kinds`) names those it uses; a fact that is in none is in no
recording, and an effect that is in none has no handler (tests/protocol/test_kinds.py).
"""
