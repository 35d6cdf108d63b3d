"""M5-M9: participants of a multiparty call (API reference, sections 2.8-2.12)."""

from __future__ import annotations

from mixminus.api import parameters as p
from mixminus.api import render
from mixminus.api.multi_party_calls import find
from mixminus.api.operations import Answer, ApiRequest, Operation
from mixminus.api.paging import meta, read_page
from mixminus.api.paths import member_ids, mpc_ref
from mixminus.api.ports import Ports
from mixminus.api.reading import Parameter, Reader, read_callback
from mixminus.calls.commands import (
    Added,
    AddParticipant,
    Callback,
    DialParameters,
    Done,
    KickParticipants,
    MpcParameters,
    ParticipantParameters,
    UpdateParticipants,
)
from mixminus.calls.model import Role
from mixminus.errors import NotFound

DEFAULT_RING_TIMEOUT = 45
"""Seconds."""


def read_mpc_parameters(reader: Reader) -> MpcParameters:
    """What add participant says about the call as a whole."""
    return MpcParameters(
        max_duration=reader.optional(p.MAX_DURATION),
        max_participants=reader.optional(p.MAX_PARTICIPANTS),
        record=reader.optional(p.RECORD),
        record_file_format=reader.optional(p.RECORD_FILE_FORMAT),
        record_min_member_count=reader.optional(p.RECORD_MIN_MEMBER_COUNT),
        recording_callback=read_callback(reader, p.RECORDING_CALLBACK_URL, p.RECORDING_CALLBACK_METHOD, "GET"),
        status_callback=read_callback(reader, p.STATUS_CALLBACK_URL, p.STATUS_CALLBACK_METHOD, "GET"),
        status_callback_events=reader.optional(p.STATUS_CALLBACK_EVENTS),
        stay_alone=reader.optional(p.STAY_ALONE),
        wait_music=read_callback(reader, p.WAIT_MUSIC_URL, p.WAIT_MUSIC_METHOD, "GET"),
        agent_hold_music=read_callback(reader, p.AGENT_HOLD_MUSIC_URL, p.AGENT_HOLD_MUSIC_METHOD, "GET"),
        customer_hold_music=read_callback(reader, p.CUSTOMER_HOLD_MUSIC_URL, p.CUSTOMER_HOLD_MUSIC_METHOD, "GET"),
        start_recording_audio=read_callback(reader, p.START_RECORDING_AUDIO, p.START_RECORDING_AUDIO_METHOD, "GET"),
        stop_recording_audio=read_callback(reader, p.STOP_RECORDING_AUDIO, p.STOP_RECORDING_AUDIO_METHOD, "GET"),
        create_mpc_with_single_participant=reader.optional(p.CREATE_MPC_WITH_SINGLE_PARTICIPANT),
        transcript=reader.optional(p.TRANSCRIPT),
        transcription_url=reader.optional(p.TRANSCRIPTION_URL),
    )


def read_participant(reader: Reader) -> ParticipantParameters:
    """What add participant says about the participant; the defaults are those of the reference."""
    for refused in p.AI_AGENT_STREAM:
        reader.optional(refused)
    on_exit = read_callback(reader, p.ON_EXIT_ACTION_URL, p.ON_EXIT_ACTION_METHOD, "POST")
    return ParticipantParameters(
        role=reader.required(p.ROLE, Role.AGENT),
        coach_mode=reader.take(p.COACH_MODE, True),
        mute=reader.take(p.MUTE, False),
        hold=reader.take(p.HOLD, False),
        start_mpc_on_enter=reader.take(p.START_MPC_ON_ENTER, True),
        end_mpc_on_exit=reader.take(p.END_MPC_ON_EXIT, False),
        enter_sound=reader.take(p.ENTER_SOUND, "beep:1"),
        enter_sound_method=reader.take(p.ENTER_SOUND_METHOD, "GET"),
        exit_sound=reader.take(p.EXIT_SOUND, "beep:2"),
        exit_sound_method=reader.take(p.EXIT_SOUND_METHOD, "GET"),
        relay_dtmf_inputs=reader.take(p.RELAY_DTMF_INPUTS, False),
        record_participant_track=reader.take(p.RECORD_PARTICIPANT_TRACK, False),
        on_exit_action=on_exit or Callback(),
    )


def read_dial(reader: Reader, role: Role) -> DialParameters:
    """How the calls are placed. Per-destination values are spread over all destinations."""
    to = reader.required(p.TO, ())
    from_ = reader.required(p.FROM, "")
    if len(to) > 1 and role is not Role.AGENT:
        reader.note("to", "several destinations are allowed for role agent only")
    status = read_callback(reader, p.CALL_STATUS_CALLBACK_URL, p.CALL_STATUS_CALLBACK_METHOD, "POST")
    confirm = read_callback(reader, p.CONFIRM_KEY_SOUND_URL, p.CONFIRM_KEY_SOUND_METHOD, "GET")
    return DialParameters(
        from_=from_,
        to=to,
        caller_name=reader.take(p.CALLER_NAME, "") or from_,
        ring_timeouts=_spread(reader, p.RING_TIMEOUT, DEFAULT_RING_TIMEOUT, len(to)),
        delays=_spread(reader, p.DELAY_DIAL, 0, len(to)),
        sip_headers=reader.take(p.SIP_HEADERS, ()),
        call_status_callback=status or Callback(),
        confirm_key=reader.take(p.CONFIRM_KEY, ""),
        confirm_key_sound=confirm or Callback(),
        dial_music=reader.take(p.DIAL_MUSIC, "real"),
        dial_music_method=reader.take(p.DIAL_MUSIC_METHOD, "GET"),
        send_digits=reader.take(p.SEND_DIGITS, ""),
        send_on_preanswer=reader.take(p.SEND_ON_PREANSWER, False),
    )


def _spread(reader: Reader, parameter: Parameter[tuple[int, ...]], default: int, count: int) -> tuple[int, ...]:
    """One value per destination: when fewer are given the last one repeats."""
    given = reader.take(parameter, (default,))
    if len(given) > max(count, 1):
        reader.note(parameter.name, f"has {len(given)} values for {count} destinations")
    return (given + given[-1:] * count)[:count]


async def add_participant(ports: Ports, request: ApiRequest) -> Answer:
    reader = request.reader()
    participant, parameters = read_participant(reader), read_mpc_parameters(reader)
    if parameters.transcript and ports.no_transcripts:
        reader.note("transcript", ports.no_transcripts)
    call_uuid, dial = "", None
    if reader.gives(p.CALL_UUID):
        call_uuid = reader.take(p.CALL_UUID, "")
        if reader.gives(p.FROM) or reader.gives(p.TO):
            reader.note("call_uuid", "cannot be given together with from and to")
    elif reader.gives(p.FROM) or reader.gives(p.TO):
        dial = read_dial(reader, participant.role)
    else:
        reader.note("to", "either from and to, or call_uuid, is required")
    reader.check()
    added = await ports.apply(
        AddParticipant(
            by=request.requester,
            mpc=mpc_ref(request.segments["mpc"]),
            participant=participant,
            parameters=parameters,
            dial=dial,
            call_uuid=call_uuid,
        )
    )
    assert isinstance(added, Added)
    calls = [render.PlacedCall(to=call.to, from_=call.from_, call_uuid=call.call_uuid) for call in added.calls]
    return Answer(
        201,
        render.ParticipantAdded(
            message="add participant action initiated", calls=calls, request_uuid=added.request_uuid
        ),
    )


async def list_participants(ports: Ports, request: ApiRequest) -> Answer:
    reader = request.reader()
    page, call_uuid = read_page(reader), reader.optional(p.CALL_UUID_FILTER)
    reader.check()
    ref = mpc_ref(request.segments["mpc"])
    mpc = await find(ports, request.requester, ref)
    found = await ports.store.members(mpc.id, call_uuid=call_uuid, page=page)
    segment = f"name_{mpc.friendly_name}" if ref.name else f"uuid_{mpc.id}"
    objects = [render.participant(row, request.auth_id, segment) for row in found.rows]
    return Answer(200, render.ParticipantList(meta=meta(request, page, found.total), objects=objects))


async def get_participant(ports: Ports, request: ApiRequest) -> Answer:
    ref, member_id = mpc_ref(request.segments["mpc"]), request.segments["member"]
    mpc = await find(ports, request.requester, ref)
    row = await ports.store.member(mpc.id, member_id)
    if row is None:
        raise NotFound(f"no participant {member_id[:100]!r} in this multiparty call")
    segment = f"name_{mpc.friendly_name}" if ref.name else f"uuid_{mpc.id}"
    return Answer(200, render.participant(row, request.auth_id, segment))


async def update_participants(ports: Ports, request: ApiRequest) -> Answer:
    reader, members = request.reader(), member_ids(request.segments["member"])
    mute, hold = reader.optional(p.MUTE), reader.optional(p.HOLD)
    coach_mode, agc = reader.optional(p.COACH_MODE), reader.optional(p.AGC)
    silent = reader.take(p.DISABLE_STATE_CHANGE_SOUND, False)
    if coach_mode is not None and not members:
        reader.note("coach_mode", "cannot be given for all participants; name them by member id")
    if not any(reader.gives(flag) for flag in (p.MUTE, p.HOLD, p.COACH_MODE, p.AGC)):
        reader.note("mute", "at least one of mute, hold, coach_mode and agc is required")
    reader.check()
    done = await ports.apply(
        UpdateParticipants(
            by=request.requester,
            mpc=mpc_ref(request.segments["mpc"]),
            members=members,
            mute=mute,
            hold=hold,
            coach_mode=coach_mode,
            agc=agc,
            sound=not silent,
        )
    )
    assert isinstance(done, Done)
    sentences = {}
    if mute is not None:
        sentences["mute"] = f"MPC: {done.mpc_name} mute/unmute member(s) succeeded"
    if hold is not None:
        sentences["hold"] = f"MPC: {done.mpc_name} hold/unhold member(s) succeeded"
    if coach_mode is not None:
        sentences["coach_mode"] = f"MPC: {done.mpc_name} coach_mode enable/disable succeeded"
    if agc is not None:
        sentences["agc"] = f"MPC: {done.mpc_name} agc enable/disable succeeded"
    return Answer(202, render.ParticipantUpdated(**sentences))


async def kick_participants(ports: Ports, request: ApiRequest) -> Answer:
    members = member_ids(request.segments["member"])
    await ports.apply(KickParticipants(by=request.requester, mpc=mpc_ref(request.segments["mpc"]), members=members))
    return Answer(204)


_COLLECTION = "MultiPartyCall/{mpc}/Participant"
_ONE = "MultiPartyCall/{mpc}/Participant/{member}"

OPERATIONS = (
    Operation.post(
        _COLLECTION,
        add_participant,
        "Add a participant: dial out, or move a live call in",
        render.ParticipantAdded,
        status=201,
        parameters=(*p.PARTICIPANT_PARAMETERS, *p.MPC_PARAMETERS),
        required=("role",),
    ),
    Operation.get(
        _COLLECTION,
        list_participants,
        "List participants, newest first, those who left included",
        render.ParticipantList,
        parameters=(p.CALL_UUID_FILTER, p.LIMIT, p.OFFSET),
    ),
    Operation.get(_ONE, get_participant, "Get a participant", render.Participant),
    Operation.post(
        _ONE,
        update_participants,
        "Mute, hold or coach: one member, several joined by commas, or all",
        render.ParticipantUpdated,
        parameters=p.UPDATE_PARAMETERS,
    ),
    Operation.delete(_ONE, kick_participants, "Kick participants: one member, several joined by commas, or all"),
)
