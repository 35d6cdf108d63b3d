"""Running a document: element after element, up to the next that waits for something. Pure.

An unanswered caller is answered by the first element that needs it; ``Wait``, ``PreAnswer``, ``Dial``, ``Redirect``
and ``Hangup`` do not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mixminus.calls.document.elements import (
    CollectElement,
    ConferenceElement,
    DialElement,
    DtmfElement,
    Element,
    HangupElement,
    MultiPartyCallElement,
    PlayElement,
    PreAnswerElement,
    RecordElement,
    RedirectElement,
    SpeakElement,
    WaitElement,
)
from mixminus.calls.effects import Join, PickUp, SendDigits
from mixminus.calls.leg import collect, dialling, meeting, take
from mixminus.calls.leg.close import hang_up
from mixminus.calls.leg.effects import EarlyMedia
from mixminus.calls.leg.state import Draft, Prompting, Waiting, program_of
from mixminus.calls.model import HangupCause, HangupSource

_UNANSWERED = (WaitElement, PreAnswerElement, DialElement, RedirectElement, HangupElement, MultiPartyCallElement)
"""Elements that leave an unanswered caller so, or answer it in their own way."""


def run(draft: Draft) -> None:
    """Go on with the document until an element waits, or the leg is over."""
    while draft.proceed and not draft.over:
        if not draft.leg.elements:
            hang_up(draft, HangupCause.END_OF_XML, HangupSource.PLIVO)
            return
        draft.proceed = False
        element = draft.leg.elements[0]
        if not draft.leg.answered and not isinstance(element, _UNANSWERED):
            draft.change(phase="picking_up", task=None)
            draft.do(PickUp())
            return
        draft.change(elements=draft.leg.elements[1:], phase="running", task=None)
        _STARTERS[type(element)](draft, element)


def _prompt(draft: Draft, element: SpeakElement | PlayElement) -> None:
    draft.change(task=Prompting(draft.prompt(program_of((element,)))))


def _wait(draft: Draft, element: WaitElement) -> None:
    draft.change(task=Waiting())
    draft.wake("element", element.seconds)


def _pre_answer(draft: Draft, element: PreAnswerElement) -> None:
    """Sound before the answer; once answered it is sound like any other."""
    if not element.prompts:
        draft.next()
    elif draft.leg.answered or draft.leg.early:
        draft.change(task=Prompting(draft.prompt(program_of(element.prompts))))
    else:
        draft.change(task=Prompting("", element.prompts))
        draft.do(EarlyMedia(draft.leg.room))


def _redirect(draft: Draft, element: RedirectElement) -> None:
    draft.fetch(element.target, "redirect")


def _dtmf(draft: Draft, element: DtmfElement) -> None:
    draft.do(SendDigits(element.digits))
    draft.next()


def _hangup(draft: Draft, element: HangupElement) -> None:
    """A scheduled one lets the document go on."""
    if element.schedule:
        draft.wake("hangup", element.schedule)
        draft.next()
        return
    cause = {"busy": HangupCause.BUSY_LINE, "rejected": HangupCause.REJECTED}.get(element.reason)
    hang_up(draft, cause or HangupCause.NORMAL_HANGUP, HangupSource.ANSWER_XML)


def _multi_party_call(draft: Draft, element: MultiPartyCallElement) -> None:
    meeting.go_to(draft, Join(name=element.name, participant=element.participant, parameters=element.parameters))


_STARTERS: dict[type[Element], Callable[[Draft, Any], None]] = {
    SpeakElement: _prompt,
    PlayElement: _prompt,
    WaitElement: _wait,
    PreAnswerElement: _pre_answer,
    RedirectElement: _redirect,
    DtmfElement: _dtmf,
    HangupElement: _hangup,
    MultiPartyCallElement: _multi_party_call,
    CollectElement: collect.start,
    RecordElement: take.start,
    DialElement: dialling.start,
    ConferenceElement: meeting.start,
}
