"""`/api/v1/calls` (docs/contract.md, "Calls")."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from attrs import frozen

from utd_rx.engine.authorization import FOR_SECRET, FOR_USERS, Callers, Principal
from utd_rx.engine.calls import Admitted, CallDesk
from utd_rx.engine.engine_clock import to_iso
from utd_rx.engine.metadata import write_metadata
from utd_rx.engine.routes import fields
from utd_rx.engine.routes.http import Context, HttpReply, HttpRequest, RouteHandler
from utd_rx.engine.routes.mint import MAX_NAME_CHARS
from utd_rx.engine.routes.participants import shown_to_wire
from utd_rx.engine.routes.request import bearer_text, permit
from utd_rx.engine.rules.call_book import Dial
from utd_rx.engine.rules.calls import Call, Deed, party_of
from utd_rx.engine.rules.names import CALL_PREFIX
from utd_rx.engine.rules.refusal import Reason, Refusal, forbidden, invalid, not_found
from utd_rx.engine.rules.roles import PUBLISHING, Role
from utd_rx.engine.rules.seat_state import Reply
from utd_rx.engine.tokens import UserClaims, device_of
from utd_rx.models.call import UTDCall, UTDCallStatus
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol.wire.calls import TYPES, call_to_wire
from utd_rx.protocol.wire.reading import Json

MAX_METADATA_BYTES: Final = 4096
MAX_METADATA_DEPTH: Final = 32
"""It is written again inside other JSON, by writers that recurse."""

MAX_OS_CHARS: Final = 50


@frozen
class CallRequest:
    """A request about a call, which was let pass; a `GET` has no body."""

    http: HttpRequest
    principal: Principal
    call: Call
    body: Json

    @property
    def desk(self) -> CallDesk:
        return _desk(self.http)

    @property
    def actor(self) -> str:
        return _bearer(self.principal).identity

    @property
    def device(self) -> str:
        """The key of the device that asks."""
        return _device(self.http, self.principal)


CallAnswer: TypeAlias = Callable[[CallRequest], Awaitable[Reply]]
"""Does what is asked and returns the reply's body."""


def about_call(allowed: Callers, answer: CallAnswer) -> RouteHandler:
    """Return the handler of a path with a call's `id`."""

    async def handle(http: HttpRequest) -> HttpReply:
        principal = permit(http, allowed)
        call = _desk(http).find(http.match_info["id"], principal.identity)
        body: Json = {} if http.method == "GET" else await fields.read_body(http)
        _refuse_other(principal, body)
        return HttpReply(await answer(CallRequest(http, principal, call, body)))

    return handle


async def start(request: HttpRequest) -> HttpReply:
    """Call somebody; 200 where it joins a call that is there."""
    principal = permit(request, FOR_USERS)
    body = await fields.read_body(request)
    _refuse_other(principal, body)
    caller, facts = _bearer(principal).identity, _read_facts(principal, body)
    callee = fields.identity_of(body, "callee_identity")
    call = _read_call(body, caller, callee, request.context)
    dial = Dial(call, caller, callee, _device(request, principal))
    admitted = await _desk(request).dial(dial)
    wire = _admitted_to_wire(request.context, admitted, caller, facts)
    return HttpReply(wire, status=201 if admitted.is_new else 200)


async def get_call(asked: CallRequest) -> Reply:
    return call_to_wire(asked.call.told)


async def get_participant(asked: CallRequest) -> Reply:
    """Return who is in a call's room under a party's identity: who was displaced asks it."""
    core, identity = asked.http.context.core, asked.http.match_info["identity"]
    found = None
    if asked.call.party(identity) is not None:
        found = await core.media.get_participant(core.rooms.livekit_name(asked.call.id), identity)
    if found is None:
        raise not_found("there is nobody of this name in the call")
    return shown_to_wire(None, found)


def _deed(deed: Deed) -> CallAnswer:
    async def answer(asked: CallRequest) -> Reply:
        return call_to_wire(asked.desk.do(asked.call.id, deed, asked.actor, asked.device).told)

    return answer


def _coming(come: Callable[[CallDesk, str, str, str], Admitted]) -> CallAnswer:
    async def answer(asked: CallRequest) -> Reply:
        facts = _read_facts(asked.principal, asked.body)
        admitted = come(asked.desk, asked.call.id, asked.actor, asked.device)
        return _admitted_to_wire(asked.http.context, admitted, asked.actor, facts)

    return answer


ROUTES: Final[list[tuple[str, str, Callers, CallAnswer]]] = [
    ("GET", "", FOR_USERS | FOR_SECRET, get_call),
    ("POST", "/ringing", FOR_USERS, _deed(Deed.RINGING)),
    ("POST", "/accept", FOR_USERS, _coming(CallDesk.accept)),
    ("POST", "/reject", FOR_USERS, _deed(Deed.REJECT)),
    ("POST", "/busy", FOR_USERS, _deed(Deed.BUSY)),
    ("POST", "/end", FOR_USERS, _deed(Deed.END)),
    ("POST", "/join", FOR_USERS, _coming(CallDesk.join)),
]
"""Below `calls/{id}`: method, path, who may, and what answers."""


async def list_calls(request: HttpRequest) -> HttpReply:
    """Return the calls that are known, newest first, to a backend."""
    permit(request, FOR_SECRET)
    page, per_page = fields.page_of(request.query)
    query = {key: value for key, value in request.query.items() if value}
    status = fields.choice_of(query, "status", UTDCallStatus)
    type_ = _type_of(query)
    identity = fields.text_of(query, "identity", MAX_NAME_CHARS)
    first, last = _date(query, "start_date"), _date(query, "end_date", is_end=True)
    rows = [
        call_to_wire(call.told)
        for call in _desk(request).calls()
        if status in (None, call.status)
        and type_ in (None, call.told.type)
        and (identity is None or call.party(identity) is not None)
        # ISO 8601 of one form and zone, so that text compares as time does.
        and (first or "") <= (call.told.created_at or "")
        and (last is None or (call.told.created_at or "") <= last)
    ]
    rows.sort(key=lambda row: str(row["created_at"]), reverse=True)
    return HttpReply(fields.page_to_wire(rows, page, per_page))


def _read_call(body: Json, caller: str, callee: str, context: Context) -> UTDCall:
    metadata = fields.object_of(body, "metadata")
    if len(json.dumps(metadata, ensure_ascii=False).encode()) > MAX_METADATA_BYTES:
        raise Refusal(Reason.TOO_LARGE, f"metadata is larger than {MAX_METADATA_BYTES} bytes")
    if _is_deeper(metadata, MAX_METADATA_DEPTH):
        raise invalid(f"metadata is nested deeper than {MAX_METADATA_DEPTH}")
    call_id = f"{CALL_PREFIX}{context.new_id()}"
    return UTDCall(
        call_id,
        UTDCallStatus.INITIATING,
        _type_of(body) or UTDStreamType.AUDIO_CALL,
        room_name=call_id,
        caller_identity=caller,
        callee_identity=callee,
        caller_name=fields.text_of(body, "caller_name", MAX_NAME_CHARS),
        callee_name=fields.text_of(body, "callee_name", MAX_NAME_CHARS),
        metadata=FrozenMap(metadata),
        created_at=to_iso(context.core.clock.wall()),
    )


def _type_of(body: Json) -> UTDStreamType | None:
    value = body.get("type")
    if value is None:
        return None
    found = TYPES.get(value) if isinstance(value, str) else None
    if found is None:
        raise invalid(f"type must be one of {', '.join(TYPES)}")
    return found


def _is_deeper(value: object, levels: int) -> bool:
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return levels == 0 or any(_is_deeper(one, levels - 1) for one in inner)
    return False


def _date(query: Json, key: str, *, is_end: bool = False) -> str | None:
    """Return a date of the query as the calls' are written; a day as an end counts whole."""
    text = fields.text_of(query, key, 40)
    if text is None:
        return None
    try:
        # A "+" of a zone that was not encoded is a blank.
        found = datetime.fromisoformat(text.replace(" ", "+"))
        if is_end and len(text) <= len("2026-01-31"):
            found += timedelta(days=1, milliseconds=-1)
        return to_iso((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError) as error:
        raise invalid(f"{key} must be a date or time of ISO 8601") from error


def _desk(request: HttpRequest) -> CallDesk:
    return request.context.core.calls


def _bearer(principal: Principal) -> UserClaims:
    assert principal.bearer is not None  # the table lets users pass only
    return principal.bearer


def _refuse_other(principal: Principal, body: Json) -> None:
    """Refuse a body that calls the actor anything but what the bearer does."""
    for key in ("identity", "caller_identity"):
        if fields.typed(body, key, str) not in (None, principal.identity):
            raise forbidden(f"{key} is not the bearer's")


def _device(request: HttpRequest, principal: Principal) -> str:
    return device_of(_bearer(principal), bearer_text(request) or "")


def _read_facts(principal: Principal, body: Json) -> dict[str, str]:
    """Return what is known of the device, for the token."""
    os = fields.text_of(body, "os", MAX_OS_CHARS)
    found = {"device_id": _bearer(principal).device_id, "os": os}
    return {key: text for key, text in found.items() if text is not None}


def _admitted_to_wire(
    context: Context, admitted: Admitted, identity: str, device: Mapping[str, str]
) -> Reply:
    """Return the call with what to join its room with."""
    call = admitted.call
    is_caller = party_of(call, identity) is call.caller
    token = context.tokens.sign_livekit(
        room=context.core.rooms.livekit_name(call.id),
        identity=identity,
        name=call.told.caller_name if is_caller else call.told.callee_name,
        metadata=write_metadata(
            context.secrets,
            role=Role.GUEST,  # who moderates nobody, and is not bound by a chat lock
            type=call.told.type,
            serial=admitted.serial,
            device=device,
            image=None,
            custom={},
        ),
        grant=PUBLISHING[call.told.type],
    )
    return {**call_to_wire(call.told), "token": token, "url": context.livekit_url}
