"""Devices of sound as values: what names one that is alive."""

from __future__ import annotations

import uuid

from attrs import field, frozen

from utd_rx.models.checks import typed


@frozen(field_transformer=typed)
class DeviceKey:
    """Names a microphone or a speaker of one process; a value that crosses ports.

    Args:
        kind: `microphone` or `speaker`.
        id: Unlike every other one's.
    """

    kind: str
    id: str = field(factory=lambda: uuid.uuid4().hex)
