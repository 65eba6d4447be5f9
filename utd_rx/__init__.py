"""utd_rx: audio/video sessions on LiveKit as state you can subscribe to and commands you can await.

The public names, nothing else. They are loaded when first used, so that `import utd_rx` costs
little and loads neither LiveKit's native library nor PortAudio.
"""

from __future__ import annotations

from importlib import import_module

# `typing` is not imported for it: before `utd_rx.cli.main` runs Ctrl-C is a traceback.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from utd_rx.agent.registering import register_call
    from utd_rx.agent.session import AtomsAgentSession
    from utd_rx.agent.tools import agent_tool
    from utd_rx.asgi import StateFeed
    from utd_rx.audio import ArraySource, ToneSource, WavRecorder, WavSource, level_dbfs
    from utd_rx.audio.devices import AudioDevice, AudioDirection, list_devices
    from utd_rx.audio.microphone import Microphone, MicrophoneInput
    from utd_rx.audio.observed import ObservableSource
    from utd_rx.audio.speaker import Speaker
    from utd_rx.client import UTDStreamClient
    from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
    from utd_rx.models.agent import (
        AgentError,
        AgentMode,
        AgentRole,
        AgentStatistics,
        AgentStatus,
        AgentTurn,
    )
    from utd_rx.models.agent_events import AgentEvent
    from utd_rx.models.audio import AudioFormat, AudioFrame, AudioInput
    from utd_rx.models.ban import UTDBan, UTDBanNotice
    from utd_rx.models.call import IncomingCall, UTDCall, UTDCallEndReason, UTDCallStatus
    from utd_rx.models.chat import ChatMessage
    from utd_rx.models.connection import ConnectionQuality, DisconnectReason, UTDConnectionState
    from utd_rx.models.data_tracks import DataTrackFrame, DataTrackInfo
    from utd_rx.models.devices import CameraDevice
    from utd_rx.models.encryption import (
        Encryption,
        EncryptionKey,
        EncryptionState,
        KeyDerivation,
        KeyRing,
    )
    from utd_rx.models.events import RoomEvent
    from utd_rx.models.methods import MethodFailed, MethodInvocation
    from utd_rx.models.participant import (
        LocalParticipant,
        ParticipantPermission,
        RemoteParticipant,
        TrackKind,
        TrackPublication,
        TrackSource,
    )
    from utd_rx.models.role import UTDRole
    from utd_rx.models.room import RoomInfo
    from utd_rx.models.seats import (
        Invitation,
        InvitationAnswer,
        SpeakRequest,
        UTDSeat,
        UTDSeatGrid,
        UTDSeatMode,
    )
    from utd_rx.models.stage import StageRequest, UTDStageMember
    from utd_rx.models.statistics import (
        MediaStatistics,
        RoomStatistics,
        TrackDirection,
        TrackStatistics,
    )
    from utd_rx.models.stream_type import UTDStreamType
    from utd_rx.models.token import UTDSessionResponse, UTDTokenResponse
    from utd_rx.models.transcript import TranscriptTurn
    from utd_rx.models.transfers import TransferInfo, TransferProgress
    from utd_rx.models.value import from_json, to_json
    from utd_rx.models.video import VideoFormat, VideoFrame, VideoInput
    from utd_rx.models.voice_processing import VoiceProcessing
    from utd_rx.models.webhook import (
        WebhookEvent,
        WebhookParticipant,
        WebhookRoom,
        WebhookTrack,
    )
    from utd_rx.plain_room import open_room
    from utd_rx.ports.from_thread import FromThread, LoopThread
    from utd_rx.protocol.wire.webhooks import verify_webhook
    from utd_rx.rest.api import UTDApi
    from utd_rx.rest.client import UTDApiClient
    from utd_rx.rtc.last_resort import leave_on
    from utd_rx.rtc.room import UTDRoom
    from utd_rx.sessions.audio_room import UTDAudioRoomSession
    from utd_rx.sessions.call import UTDCallSession
    from utd_rx.sessions.data_tracks import PublishedDataTrack
    from utd_rx.sessions.file_sending import FileSending
    from utd_rx.sessions.incoming_streams import IncomingFile, IncomingText
    from utd_rx.sessions.live_stream import UTDLiveStreamSession
    from utd_rx.sessions.media_session import MediaSession
    from utd_rx.sessions.playback import Playback, play
    from utd_rx.sessions.recording import Recording, record
    from utd_rx.sessions.replay import (
        AgentReplay,
        CallReplay,
        LiveStreamReplay,
        Replay,
        RoomReplay,
        replay,
    )
    from utd_rx.sessions.room import RoomSession
    from utd_rx.sessions.session import UTDSession
    from utd_rx.state import (
        StateSubject,
        Store,
        became,
        combine_state,
        held_for,
        perform,
        throttle,
    )
    from utd_rx.testing.sound import AudioComparison, compare
    from utd_rx.video import (
        Camera,
        FrameSource,
        Screen,
        TestPattern,
        VideoFileSource,
        VideoRecorder,
        list_cameras,
        read_counter,
    )

__version__ = "0.1.0"

_HOME: Final = {
    "utd_rx.agent.registering": "register_call",
    "utd_rx.agent.session": "AtomsAgentSession",
    "utd_rx.agent.tools": "agent_tool",
    "utd_rx.asgi": "StateFeed",
    "utd_rx.audio": "ArraySource ToneSource WavRecorder WavSource level_dbfs",
    "utd_rx.audio.devices": "AudioDevice AudioDirection list_devices",
    "utd_rx.audio.microphone": "Microphone MicrophoneInput",
    "utd_rx.audio.observed": "ObservableSource",
    "utd_rx.audio.speaker": "Speaker",
    "utd_rx.client": "UTDStreamClient",
    "utd_rx.errors": "ConflictReason UTDErrorCode UTDStreamException",
    "utd_rx.models.agent": "AgentError AgentMode AgentRole AgentStatistics AgentStatus AgentTurn",
    "utd_rx.models.agent_events": "AgentEvent",
    "utd_rx.models.audio": "AudioFormat AudioFrame AudioInput",
    "utd_rx.models.ban": "UTDBan UTDBanNotice",
    "utd_rx.models.call": "IncomingCall UTDCall UTDCallEndReason UTDCallStatus",
    "utd_rx.models.chat": "ChatMessage",
    "utd_rx.models.connection": "ConnectionQuality DisconnectReason UTDConnectionState",
    "utd_rx.models.data_tracks": "DataTrackFrame DataTrackInfo",
    "utd_rx.models.devices": "CameraDevice",
    "utd_rx.models.encryption": "Encryption EncryptionKey EncryptionState KeyDerivation KeyRing",
    "utd_rx.models.events": "RoomEvent",
    "utd_rx.models.methods": "MethodFailed MethodInvocation",
    "utd_rx.models.participant": (
        "LocalParticipant ParticipantPermission RemoteParticipant TrackKind TrackPublication "
        "TrackSource"
    ),
    "utd_rx.models.role": "UTDRole",
    "utd_rx.models.room": "RoomInfo",
    "utd_rx.models.seats": (
        "Invitation InvitationAnswer SpeakRequest UTDSeat UTDSeatGrid UTDSeatMode"
    ),
    "utd_rx.models.stage": "StageRequest UTDStageMember",
    "utd_rx.models.statistics": "MediaStatistics RoomStatistics TrackDirection TrackStatistics",
    "utd_rx.models.stream_type": "UTDStreamType",
    "utd_rx.models.token": "UTDSessionResponse UTDTokenResponse",
    "utd_rx.models.transcript": "TranscriptTurn",
    "utd_rx.models.transfers": "TransferInfo TransferProgress",
    "utd_rx.models.value": "from_json to_json",
    "utd_rx.models.video": "VideoFormat VideoFrame VideoInput",
    "utd_rx.models.voice_processing": "VoiceProcessing",
    "utd_rx.models.webhook": "WebhookEvent WebhookParticipant WebhookRoom WebhookTrack",
    "utd_rx.plain_room": "open_room",
    "utd_rx.ports.from_thread": "FromThread LoopThread",
    "utd_rx.protocol.wire.webhooks": "verify_webhook",
    "utd_rx.rest.api": "UTDApi",
    "utd_rx.rest.client": "UTDApiClient",
    "utd_rx.rtc.last_resort": "leave_on",
    "utd_rx.rtc.room": "UTDRoom",
    "utd_rx.sessions.audio_room": "UTDAudioRoomSession",
    "utd_rx.sessions.call": "UTDCallSession",
    "utd_rx.sessions.data_tracks": "PublishedDataTrack",
    "utd_rx.sessions.incoming_streams": "IncomingFile IncomingText",
    "utd_rx.sessions.live_stream": "UTDLiveStreamSession",
    "utd_rx.sessions.playback": "Playback play",
    "utd_rx.sessions.recording": "Recording record",
    "utd_rx.sessions.replay": ("AgentReplay CallReplay LiveStreamReplay Replay RoomReplay replay"),
    "utd_rx.sessions.media_session": "MediaSession",
    "utd_rx.sessions.room": "RoomSession",
    "utd_rx.sessions.session": "UTDSession",
    "utd_rx.sessions.file_sending": "FileSending",
    "utd_rx.state": "StateSubject Store became combine_state held_for perform throttle",
    "utd_rx.testing.sound": "AudioComparison compare",
    "utd_rx.video": (
        "Camera FrameSource Screen TestPattern VideoFileSource VideoRecorder list_cameras "
        "read_counter"
    ),
}
_MODULE_OF: Final = {name: module for module, names in _HOME.items() for name in names.split()}

__all__ = [
    "AgentError", "AgentEvent", "AgentMode", "AgentReplay", "AgentRole", "AgentStatistics",
    "AgentStatus", "AgentTurn", "ArraySource", "AtomsAgentSession", "AudioComparison",
    "AudioDevice", "AudioDirection", "AudioFormat", "AudioFrame", "AudioInput", "CallReplay",
    "Camera", "CameraDevice", "ChatMessage", "ConflictReason", "ConnectionQuality",
    "DataTrackFrame", "DataTrackInfo", "DisconnectReason", "Encryption", "EncryptionKey",
    "EncryptionState", "FileSending", "FrameSource", "FromThread", "IncomingCall", "IncomingFile",
    "IncomingText", "Invitation", "InvitationAnswer", "KeyDerivation", "KeyRing",
    "LiveStreamReplay", "LocalParticipant", "LoopThread", "MediaSession", "MediaStatistics",
    "MethodFailed", "MethodInvocation", "Microphone", "MicrophoneInput", "ObservableSource",
    "ParticipantPermission", "Playback", "PublishedDataTrack", "Recording", "RemoteParticipant",
    "Replay", "RoomEvent", "RoomInfo", "RoomReplay", "RoomSession", "RoomStatistics", "Screen",
    "SpeakRequest", "Speaker", "StageRequest", "StateFeed", "StateSubject", "Store", "TestPattern",
    "ToneSource", "TrackDirection", "TrackKind", "TrackPublication", "TrackSource",
    "TrackStatistics", "TranscriptTurn", "TransferInfo", "TransferProgress", "UTDApi",
    "UTDApiClient", "UTDAudioRoomSession", "UTDBan", "UTDBanNotice", "UTDCall", "UTDCallEndReason",
    "UTDCallSession", "UTDCallStatus", "UTDConnectionState", "UTDErrorCode", "UTDLiveStreamSession",
    "UTDRole", "UTDRoom", "UTDSeat", "UTDSeatGrid", "UTDSeatMode", "UTDSession",
    "UTDSessionResponse", "UTDStageMember", "UTDStreamClient", "UTDStreamException",
    "UTDStreamType", "UTDTokenResponse", "VideoFileSource", "VideoFormat", "VideoFrame",
    "VideoInput", "VideoRecorder", "VoiceProcessing", "WavRecorder", "WavSource", "WebhookEvent",
    "WebhookParticipant", "WebhookRoom", "WebhookTrack", "__version__", "agent_tool", "became",
    "combine_state", "compare", "from_json", "held_for", "leave_on", "level_dbfs", "list_cameras",
    "list_devices", "open_room", "perform", "play", "read_counter", "record", "register_call",
    "replay", "throttle", "to_json", "verify_webhook",
]  # fmt: skip


def __getattr__(name: str) -> object:
    """Load a public name when it is first asked for."""
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
