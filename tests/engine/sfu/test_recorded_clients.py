"""Offers and answers of browsers and of Go, as recorded: each is understood and answered."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from livekit.protocol import models, rtc

from tests.engine.sfu.media import EXTENSIONS, OPUS, Sink
from tests.engine.sfu.rooms import Signal, done, join
from utd_rx.engine.sfu import rtp, sdp
from utd_rx.engine.sfu.answers import AnswerSection, match_codec
from utd_rx.engine.sfu.publications import Publication, Publications
from utd_rx.engine.sfu.sdp import Section
from utd_rx.engine.sfu.sfu_participant import SfuParticipant
from utd_rx.engine.sfu.sfu_room import SfuRoom

Recorded = Callable[[str], str]
KINDS = {"audio": models.TrackType.AUDIO, "video": models.TrackType.VIDEO}


class Publisher:
    """A client that announces tracks and offers."""

    def __init__(self) -> None:
        self.tracks = Publications("PA_x", Sink(), lambda **_: None)

    def announce(self, kind: str, cid: str) -> Publication:
        return self.tracks.add(rtc.AddTrackRequest(cid=cid, type=KINDS[kind]))

    def offer(self, text: str) -> list[AnswerSection]:
        """Offer, and take what is answered to sections that carry sound or pictures."""
        sections = [one for one in sdp.parse_offer(text).sections if one.kind != "application"]
        for one in self.tracks.stopped(sections):
            self.tracks.remove(one)
        owned = [one for one in sections if one.is_sending or self.tracks.owns(one.mid)]
        return [self.tracks.answer(one, 0.0)[0] for one in owned]


def sending(text: str) -> list[Section]:
    media = (one for one in sdp.parse_offer(text).sections if one.kind != "application")
    return [one for one in media if one.is_sending]


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("chromium_2.23_published", 3),
        ("chromium_2.23_two_published", 3),
        ("chromium_2.16_published", 3),
        ("chromium_2.0_published", 3),
        ("chromium_1.15_published", 3),
        ("firefox_published", 3),
        ("firefox_two_published", 3),
        ("go_published", 0),
    ],
)
def test_sound_and_picture_go_live(recorded: Recorded, name: str, layers: int) -> None:
    client, text = Publisher(), recorded(name)
    for section in sending(text):
        is_odd = name.startswith("firefox")  # whose msid names no cid
        cid = "{of our own}" if is_odd else str(section.track_id)
        client.announce(section.kind, f"{cid} {section.kind}" if is_odd else cid)
    answers = client.offer(text)
    assert [one.direction for one in answers] == ["recvonly", "recvonly"]
    assert [one.codecs[0].name for one in answers] == ["opus", "vp8"]
    assert [len(one.receive_rids) for one in answers] == [0, layers]
    assert all(one.is_live for one in client.tracks)
    again = client.offer(text)
    assert again == answers
    assert len(client.tracks) == 2


def test_firefox_ends_a_track_by_not_sending_it_and_begins_another(recorded: Recorded) -> None:
    client = Publisher()
    sound = client.announce("audio", "{first}")
    picture = client.announce("video", "{picture}")
    client.offer(recorded("firefox_published"))
    client.offer(recorded("firefox_unpublished"))
    assert list(client.tracks) == [picture]
    second = client.announce("audio", "{second}")
    client.offer(recorded("firefox_published_again"))
    assert list(client.tracks) == [picture, second]
    assert second.is_live
    assert second.info.mid != sound.info.mid


def test_what_was_taken_down_and_goes_on_sending_is_not_taken_for_what_is_announced(
    recorded: Recorded,
) -> None:
    """A revoked microphone: its section sends on, and the next one has a section of its own."""
    client, text = Publisher(), recorded("firefox_published")
    revoked = client.announce("audio", "{revoked}")
    client.announce("video", "{picture}")
    client.offer(text)
    client.tracks.remove(revoked)
    granted = client.announce("audio", "{granted}")
    client.offer(text)
    assert not granted.is_live


def test_a_track_that_is_announced_goes_where_its_name_is(recorded: Recorded) -> None:
    """And is not taken by a section before it that nobody announced."""
    client, text = Publisher(), recorded("chromium_2.0_published")
    sound, _ = sending(text)
    extra = "m=audio" + text.split("m=audio")[1].split("m=")[0]
    extra = extra.replace(f"a=mid:{sound.mid}", "a=mid:9").replace(str(sound.track_id), "unknown")
    at = text.index("m=audio")
    announced = client.announce("audio", str(sound.track_id))
    answers = client.offer(text[:at] + extra + text[at:])
    assert announced.info.mid == sound.mid
    assert [one.direction for one in answers] == ["inactive", "recvonly", "inactive"]


@pytest.mark.parametrize("mid", [b"", b"7"])
def test_without_a_mid_the_one_track_that_is_silent_is_meant(mid: bytes) -> None:
    publications = Publications("PA_x", Sink(), lambda **_: None)
    track = publications.add(rtc.AddTrackRequest(cid="c", type=models.TrackType.AUDIO))
    section = Section(
        "audio", "0", "UDP", "sendonly", codecs=(OPUS,), extensions=EXTENSIONS, track_id="c"
    )
    publications.stopped([section])
    publications.answer(section, 0.0)
    named = rtp.extension_block((EXTENSIONS[sdp.MID_EXTENSION], mid)) if mid else b""
    packet = rtp.write_rtp(
        payload_type=111,
        sequence=1,
        timestamp=1,
        ssrc=5,
        is_last=False,
        extensions=named,
        payload=b"x",
    )
    publications.on_rtp(packet, 0.0)
    assert track.track is not None
    assert track.track.streams[0].ssrc == (None if mid else 5)


def publish(
    room: SfuRoom, recorded: Recorded, name: str, *, who: str = "", stereo: bool = False
) -> SfuParticipant:
    """Somebody who publishes what that recording does."""
    alice, _ = join(room, who or f"of {name}")
    section = sdp.parse_offer(recorded(name)).sections[-1]
    kind = KINDS[section.kind]
    request = rtc.AddTrackRequest(cid=section.track_id, type=kind, stereo=stereo)
    alice.publish(request)
    done(alice.on_offer(rtc.SessionDescription(type="offer", sdp=recorded(name))))
    return alice


def offers(signal: Signal) -> list[rtc.SessionDescription]:
    return [one.offer for one in signal.sent if one.HasField("offer")]


def directions(text: str) -> list[tuple[str, str]]:
    return [(one.kind, one.direction) for one in sdp.parse_offer(text).sections]


@pytest.mark.parametrize("name", ["chromium_2.23_two_answer", "firefox_two_answer", "go_answer"])
@pytest.mark.parametrize("has_id", [True, False])
async def test_what_is_received_is_offered_and_their_answers_are_understood(
    room: SfuRoom, recorded: Recorded, name: str, has_id: bool
) -> None:
    microphone, camera = (publish(room, recorded, f"sdk_{one}") for one in ("microphone", "camera"))
    bob, signal = join(room, "bob", has_two=True)
    bob.offer()
    (first,) = offers(signal)
    assert first.type == "offer"
    assert "a=setup:actpass" in first.sdp
    assert "a=ice-lite" in first.sdp
    received = directions(first.sdp)[1:]
    assert received == [("audio", "sendonly"), ("video", "sendonly")]
    assert set(first.mid_to_track_id) == {"1", "2"}
    answer = rtc.SessionDescription(type="answer", sdp=recorded(name), id=first.id if has_id else 0)
    done(bob.on_answer(answer))
    done(bob.on_answer(answer))  # once more, which is an answer to nothing
    assert not [one for one in signal.sent if one.HasField("subscription_response")]
    assert not bob.is_closed
    signal.sent.clear()
    (sound,) = microphone.publications
    microphone.unpublish(sound)
    bob.offer()
    assert directions(offers(signal)[-1].sdp)[1:] == [("audio", "inactive"), ("video", "sendonly")]
    assert "ice-ufrag" in offers(signal)[-1].sdp
    assert _ufrag(offers(signal)[-1].sdp) != _ufrag(first.sdp)  # of a resume: ICE restarts
    assert camera.publications


async def test_of_a_stereo_track_an_offer_says_so(room: SfuRoom, recorded: Recorded) -> None:
    """As livekit-server's do: livekit-client answers `stereo=1` then, and decodes both sides."""
    publish(room, recorded, "sdk_microphone", stereo=True)
    bob, signal = join(room, "bob", has_two=True)
    bob.offer()
    (sound,) = sdp.parse_offer(offers(signal)[-1].sdp).sections[1:]
    assert sound.codecs[0].parameters == "minptime=10;useinbandfec=1;sprop-stereo=1"
    publish(room, recorded, "sdk_microphone", who="cy")
    bob.offer()
    first, second = sdp.parse_offer(offers(signal)[-1].sdp).sections[1:]
    assert "sprop-stereo=1" in first.codecs[0].parameters
    assert "stereo" not in second.codecs[0].parameters


def _ufrag(text: str) -> str:
    return sdp.parse_offer(text).ice_ufrag


async def test_what_the_client_cannot_receive_is_refused_and_its_section_stays_so(
    room: SfuRoom, recorded: Recorded
) -> None:
    publish(room, recorded, "sdk_camera")
    bob, signal = join(room, "bob", has_two=True)
    bob.offer()
    refused = recorded("chromium_2.23_two_answer").replace("m=video 9", "m=video 0")
    head, rest = refused.split("m=audio")
    video = "m=video" + rest.split("m=video")[1].replace("a=mid:2", "a=mid:1")
    done(bob.on_answer(rtc.SessionDescription(type="answer", sdp=head + video)))
    (refusal,) = [one for one in signal.sent if one.HasField("subscription_response")]
    assert refusal.subscription_response.err == models.SubscriptionError.SE_CODEC_UNSUPPORTED
    bob.offer()
    last = sdp.parse_offer(offers(signal)[-1].sdp).sections[-1]
    assert (last.kind, last.is_rejected) == ("video", True)


async def test_a_useless_answer_makes_the_client_start_over_in_old_words_and_new(
    room: SfuRoom,
) -> None:
    bob, signal = join(room, "bob", has_two=True)
    bob.offer()
    done(
        bob.on_answer(rtc.SessionDescription(type="answer", sdp="v=0", id=99))
    )  # to no offer of ours
    assert not bob.is_closed
    done(bob.on_answer(rtc.SessionDescription(type="answer", sdp="v=0")))
    (leave,) = [one.leave for one in signal.sent if one.HasField("leave")]
    assert (leave.action, leave.can_reconnect) == (rtc.LeaveRequest.RECONNECT, True)


def test_h264_without_a_packetization_mode_is_of_mode_0() -> None:
    plain = sdp.Codec(98, "h264", 90000, 1, "profile-level-id=42e01f")
    said = sdp.Codec(103, "h264", 90000, 1, "packetization-mode=0;profile-level-id=42e01f")
    section = Section("video", "0", "UDP", "recvonly", codecs=(said,))
    assert match_codec(plain, section) == said
