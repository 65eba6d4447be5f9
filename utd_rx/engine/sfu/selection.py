"""Which packets of a video track one subscriber gets: layers are entered where they can be.

Simulcast layers are streams of their own, of which one is forwarded; another is entered on a key
frame of it. The layers of a scalable stream (SVC) build on each other, and all up to one are
forwarded: a higher one is entered in a picture that depends on no earlier one, and left at any. So
are temporal layers, which are entered where the stream says so. Pure; time stamps are RTP's.
"""

from __future__ import annotations

from enum import Enum, auto

from attrs import define

from utd_rx.engine.sfu.pictures import ALL, Picture


class Passage(Enum):
    DROP = auto()
    PASS = auto()
    PASS_LAST = auto()  # it is the picture's last packet here, though not at the publisher's


@define
class LayerSelector:
    """The choice for one subscription; `target` is the layer it shall get, None for nothing."""

    is_simulcast: bool
    target: int | None = None
    temporal_target: int = ALL
    current: int | None = None
    _temporal: int = ALL
    _timestamp: int | None = None

    def needs_key(self, layer: int) -> bool:
        """Whether that layer is yet to be entered, for which it takes a key frame."""
        if self.target is None or self.current == layer:
            return False
        return self.is_simulcast or self.current is None or self.current < layer

    def pause(self) -> None:
        """Nothing is forwarded until the next key frame after `target` is set again."""
        self.target = self.current = None

    def take(self, layer: int, picture: Picture, timestamp: int, *, is_late: bool) -> Passage:
        """Decide about a packet of that layer; a late one changes nothing."""
        if self.target is None:
            return Passage.DROP
        if not is_late and timestamp != self._timestamp:
            self._timestamp = timestamp
            self._leave_layers(self.target)
        if not is_late and picture.begins | picture.is_key:
            self._enter(layer, picture, self.target)
        if self.current is None or picture.temporal > self._temporal:
            return Passage.DROP
        if self.is_simulcast:
            return Passage.PASS if layer == self.current else Passage.DROP
        if layer > self.current:
            return Passage.DROP
        grows = picture.is_independent and self.current < self.target
        is_last = picture.ends and layer == self.current and not grows
        return Passage.PASS_LAST if is_last else Passage.PASS

    def _leave_layers(self, target: int) -> None:
        self._temporal = min(self._temporal, self.temporal_target)
        if not self.is_simulcast and self.current is not None:
            self.current = min(self.current, target)

    def _enter(self, layer: int, picture: Picture, target: int) -> None:
        current = self.current
        if self.is_simulcast:
            is_entered = picture.is_key and _is_nearer(layer, current, target)
        elif current is None:
            is_entered = picture.is_key
        else:
            is_entered = picture.is_independent and current < layer <= target
        if is_entered:
            self.current = layer
        is_part = layer == self.current or (not self.is_simulcast and layer <= (self.current or 0))
        if not is_part:
            return
        if is_entered or (picture.is_switch and picture.temporal <= self._temporal):
            self._temporal = self.temporal_target
        elif picture.needs <= self._temporal < picture.temporal <= self.temporal_target:
            self._temporal = picture.temporal


def _is_nearer(layer: int, current: int | None, target: int) -> bool:
    """Whether a step to `layer` leads towards `target`; from nowhere, each up to it does."""
    if current is None:
        return layer <= target
    return current < layer <= target or target <= layer < current
