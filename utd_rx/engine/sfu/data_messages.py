"""Data messages of a room: who gets what (docs/livekit.md, "Data channels")."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from google.protobuf.message import DecodeError
from livekit.protocol import models, room

from utd_rx.engine.sfu.data_channels import LOSSY, RELIABLE
from utd_rx.engine.sfu.limits import SENT_AT_ONCE
from utd_rx.engine.sfu.sfu_participant import SfuParticipant


def deliver_from_client(
    everybody: Iterable[SfuParticipant], sender: SfuParticipant, label: str, message: bytes
) -> Iterator[None]:
    """Hand a message to whom it is for, in parts: others have a turn whenever it yields."""
    may_send = sender.permission.can_publish_data and sender.is_active
    if label not in (RELIABLE, LOSSY) or not may_send:
        return
    try:
        packet = models.DataPacket.FromString(message)
    except DecodeError:
        return
    if packet.HasField("speaker"):  # only the server may say that
        return
    if label == RELIABLE and packet.sequence:
        # After a resume the client repeats what we may already have.
        if packet.sequence <= sender.last_sequence:
            return
        sender.last_sequence = packet.sequence
    if packet.HasField("transcription") and not _may_transcribe(sender, packet.transcription):
        return
    is_another = bool(packet.participant_identity) and sender.is_agent
    if not (is_another and packet.stream_header.HasField("text_header")):
        packet.participant_sid, packet.participant_identity = sender.sid, sender.identity
    if packet.HasField("user"):
        packet.user.participant_sid = sender.sid
        packet.user.participant_identity = sender.identity
    yield from _deliver((one for one in everybody if one is not sender), packet, label)


def _may_transcribe(sender: SfuParticipant, transcription: models.Transcription) -> bool:
    """Whether somebody is an agent, and names a track as LiveKit's native code can hear: another
    name ends the process of whoever receives it (docs/livekit.md, "Native panics")."""
    return sender.is_agent and transcription.track_id.startswith("TR_")


def deliver_from_api(
    everybody: Iterable[SfuParticipant], request: room.SendDataRequest
) -> Iterator[None]:
    """Hand on what a server says, in parts."""
    user = models.UserPacket(
        payload=request.data,
        destination_sids=request.destination_sids,
        destination_identities=request.destination_identities,
        nonce=request.nonce,
        topic=request.topic if request.HasField("topic") else None,
    )
    packet = models.DataPacket(
        kind=request.kind, user=user, destination_identities=request.destination_identities
    )
    label = LOSSY if request.kind == models.DataPacket.LOSSY else RELIABLE
    return _deliver(everybody, packet, label)


def _deliver(
    others: Iterable[SfuParticipant], packet: models.DataPacket, label: str
) -> Iterator[None]:
    identities = {*packet.destination_identities, *packet.user.destination_identities}
    sids = set(packet.user.destination_sids)
    encoded, count = packet.SerializeToString(), 0
    for receiver in others:
        is_addressed = receiver.identity in identities or receiver.sid in sids
        if receiver.is_active and (is_addressed or not (identities or sids)):
            receiver.connections.send_data(label, encoded)
            count += 1
            if count % SENT_AT_ONCE == 0:
                yield
