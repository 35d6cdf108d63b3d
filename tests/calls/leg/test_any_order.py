"""Whatever happens in whatever order: a leg never breaks, ends once, and leaves nothing running."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from calls.kit import BY, MPC
from calls.leg.kit import APP, NOW, Driver, callee, document, inbound, placed
from mixminus.calls import effects
from mixminus.calls.commands import Callback, ParticipantParameters
from mixminus.calls.effects import AbandonTap, BeginTap, EndTap
from mixminus.calls.events import CallEvent, MemberLeftForAction, MemberSnapshot
from mixminus.calls.inputs import (
    Admission,
    Answered,
    Entered,
    FetchFailed,
    Gone,
    HangUp,
    PickedUp,
    Rang,
    Refused,
    Released,
    TimedOut,
    Transfer,
)
from mixminus.calls.leg.close import TIMERS
from mixminus.calls.leg.effects import (
    Confirm,
    PlaceOrder,
    StartPrompt,
    StopPrompt,
    Tell,
)
from mixminus.calls.leg.inputs import (
    CalleeEnded,
    CalleeKey,
    CalleeRang,
    CalleeReady,
    ConferenceJoined,
    ConferenceLeft,
    Connected,
    EarlyMediaUp,
    HangUpCall,
    KeyOnLeg,
    LegRecordingBroke,
    PlayOnCall,
    PromptEnded,
    RecordCall,
    SendDigitsOnCall,
    SentElsewhere,
    SpeakingOnLeg,
    StopPlayOnCall,
    StopRecordCall,
    TransferCall,
)
from mixminus.calls.model import CallStatus, ExitCause, HangupCause, HangupSource, Role
from mixminus.calls.sounds.program import BuiltIn
from mixminus.errors import RequestError

BEEP = (BuiltIn("beep:1"),)
ELEMENTS = (
    "<Speak>a</Speak>",
    f'<Play loop="0">{APP}/a.mp3</Play>',
    "<Wait/>",
    f"<PreAnswer><Play>{APP}/a.mp3</Play></PreAnswer>",
    "<DTMF>1</DTMF>",
    f'<GetDigits action="{APP}/d" retries="2" validDigits="12" invalidDigitsSound="{APP}/n"><Wait/></GetDigits>',
    f'<GetInput action="{APP}/d" redirect="false"/>',
    f'<Record action="{APP}/r"/>',
    f'<Record recordSession="true" callbackUrl="{APP}/f"/>',
    '<Record startOnDialAnswer="true"/>',
    f'<Dial action="{APP}/x" hangupOnStar="true" dialMusic="{APP}/m"><Number>1</Number><Number>2</Number></Dial>',
    "<Dial><Number>1</Number></Dial>",
    f'<Conference action="{APP}/c" hangupOnStar="true">den</Conference>',
    '<MultiPartyCall role="agent">room</MultiPartyCall>',
    f"<Redirect>{APP}/next</Redirect>",
    '<Hangup schedule="5"/>',
    "<Hangup/>",
)
documents = st.lists(st.sampled_from(ELEMENTS), max_size=5).map("".join)
LEFT = MemberLeftForAction(
    mpc_uuid=MPC, mpc_name="room", member=MemberSnapshot(), joined_at=NOW, left_at=NOW, callback=Callback()
)
HAPPENINGS = st.one_of(
    documents.map(document),
    st.sampled_from(TIMERS).map(TimedOut),
    st.sampled_from("1#*9").map(KeyOnLeg),
    st.booleans().map(SpeakingOnLeg),
    st.sampled_from(("prompt", "prompt", "prompt", "callee", "rang", "callee gone", "callee key", "broke")),
    st.sampled_from(
        (
            Rang(),
            Rang(early=True),
            Answered(),
            PickedUp(),
            PickedUp(),
            EarlyMediaUp(),
            Refused(486),
            Gone(),
            HangUp(HangupCause.KICKED, HangupSource.PLIVO),
            FetchFailed("action", False, "x"),
            Admission(Entered(True, "1")),
            Admission(Entered(False)),
            Released(ExitCause.KICKED, HangupCause.KICKED, HangupSource.API_REQUEST, LEFT),
            Transfer("r", "m", "room", ParticipantParameters(role=Role.AGENT)),
            Connected("call:a"),
            SentElsewhere(Callback(f"{APP}/b")),
            ConferenceJoined(True, "u", "1"),
            ConferenceJoined(False),
            ConferenceLeft(),
            ConferenceLeft(hangup=True),
            TransferCall(by=BY, call_uuid="c", aleg=Callback(f"{APP}/t")),
            TransferCall(by=BY, call_uuid="c", legs="both", aleg=Callback(f"{APP}/t"), bleg=Callback(f"{APP}/u")),
            HangUpCall(by=BY, call_uuid="c"),
            PlayOnCall(by=BY, call_uuid="c", kind="play", program=BEEP, mix=False),
            PlayOnCall(by=BY, call_uuid="c", kind="speak", program=BEEP, legs="both"),
            StopPlayOnCall(by=BY, call_uuid="c", kind="play"),
            RecordCall(by=BY, call_uuid="c"),
            StopRecordCall(by=BY, call_uuid="c"),
            SendDigitsOnCall(by=BY, call_uuid="c", digits="1", legs="both"),
        )
    ),
)


class Watch:
    """Follows what a leg has set going."""

    def __init__(self, leg: Driver) -> None:
        self.leg = leg
        self.playing: set[str] = set()
        self.taps: set[str] = set()
        self.callees: set[str] = set()
        self.timers: dict[str, int] = {}
        """Those that are set, with their numbers."""
        self.ends = 0
        self.read()

    def read(self) -> None:
        for effect in self.leg.effects:
            match effect:
                case StartPrompt():
                    self.playing.add(effect.player)
                case StopPrompt():
                    self.playing.discard(effect.player)
                case BeginTap():
                    self.taps.add(effect.recording.id)
                case EndTap():
                    self.taps.remove(effect.recording.id)
                case AbandonTap():
                    self.taps.remove(effect.recording_id)
                case effects.Wake(seconds=None):
                    self.timers.pop(effect.timer, None)
                case effects.Wake():
                    self.timers[effect.timer] = effect.number
                case PlaceOrder():
                    self.callees.add(effect.call_uuid)
                case Tell(message=HangUp() | SentElsewhere()):
                    self.callees.discard(effect.call_uuid)
                case effects.CloseMedia():
                    self.ends += 1
                case _:
                    pass
        self.leg.effects.clear()

    def happen(self, what: Any) -> None:
        for happening in self._meant(what):
            with contextlib.suppress(RequestError):
                self.leg.do(happening)
            self.read()

    def _meant(self, what: Any) -> list[Any]:
        """Happenings that are about something that is really there."""
        callee = next(iter(sorted(self.callees)), "")
        match what:
            case TimedOut() if what.timer not in self.timers:
                return []
            case TimedOut():
                return [TimedOut(what.timer, self.timers.pop(what.timer))]
            case "prompt":
                player = next(iter(sorted(self.playing)), "")
                self.playing.discard(player)
                return [PromptEnded(player)]
            case "callee":
                return [CalleeReady(callee)] if callee else []
            case "rang":
                return [CalleeRang(callee, True)]
            case "callee gone":
                self.callees.discard(callee)
                gone = CalleeEnded(
                    call_uuid=callee, status=CallStatus.BUSY, cause=HangupCause.BUSY_LINE, source=HangupSource.CALLEE
                )
                return [gone] if callee else []
            case "callee key":
                return [CalleeKey(callee, "1")]
            case "broke":
                return [
                    LegRecordingBroke(tap, "full", bool(number % 2)) for number, tap in enumerate(sorted(self.taps))
                ]
            case _:
                return [what]


KINDS = ("inbound", "answered", "dialling", "callee", "placed")


def begin(kind: str, text: str) -> Driver:
    if kind == "inbound":
        return inbound(text)
    if kind == "answered":
        return inbound("<GetDigits timeout='60'/>" + text, answered=True)
    if kind == "dialling":
        return inbound(
            "<GetDigits numDigits='1'/><Dial><Number>1</Number><Number>2</Number></Dial>" + text, answered=True
        )
    if kind == "callee":
        return callee(confirm=Confirm("1", BEEP), send_digits="1")
    return placed(answer=Callback(f"{APP}/answer"), time_limit=60.0, hangup_on_ring=5.0)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(KINDS), documents, st.lists(HAPPENINGS, max_size=25))
def test_a_leg_never_breaks_and_leaves_nothing_running(kind: str, text: str, happenings: list[Any]) -> None:
    watch = Watch(begin(kind, text))
    for what in happenings:
        watch.happen(what)
    watch.happen(HangUp(HangupCause.NORMAL_HANGUP, HangupSource.PLIVO))
    watch.happen(Gone())
    leg = watch.leg
    assert leg.leg is None
    assert watch.ends == 1
    case = f"{kind} {text} {happenings}"
    assert not watch.playing, f"a prompt plays on: {case}"
    assert not watch.taps, f"a recording goes on: {case}"
    assert not watch.callees, f"a callee was forgotten: {case}"
    assert {row.state for row in leg.recordings.values()} <= {"finishing", "failed"}
    told = [event for event in leg.events if isinstance(event, CallEvent) and event.name == "Hangup"]
    assert len(told) == 1
