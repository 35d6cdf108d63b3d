"""``Record``: beep, record until a key, silence or the longest time, tell the action (API reference 5.5, 5.6). Pure."""

from __future__ import annotations

import msgspec

from mixminus.calls.document.elements import RecordElement
from mixminus.calls.leg import tapes
from mixminus.calls.leg.state import Draft, Taking
from mixminus.calls.sounds.program import BuiltIn


def start(draft: Draft, element: RecordElement) -> None:
    draft.change(phase="running")
    draft.seat()
    if element.on_dial_answer:
        draft.change(on_dial_answer=element)
        draft.next()
    elif element.session:
        row = tapes.begin(draft, element.format, element.callback, heard=True)
        draft.wake("record", element.max_length if element.max_length != 60 else None)
        draft.report(element.action, "Redirect", {}, tapes.sound_of(row))
        draft.next()
    elif element.beep:
        draft.change(task=Taking(element, draft.prompt((BuiltIn("beep:1"),))))
    else:
        _begin(draft, Taking(element))


def prompt_ended(draft: Draft, task: Taking) -> None:
    _begin(draft, msgspec.structs.replace(task, player=""))


def _begin(draft: Draft, task: Taking) -> None:
    element = task.element
    row = tapes.begin(draft, element.format, element.callback, heard=False)
    draft.change(task=msgspec.structs.replace(task, row=row))
    draft.wake("element", element.max_length)
    draft.wake("silence", element.timeout)


def speaking(draft: Draft, task: Taking, on: bool) -> None:
    """Silence is counted from the last word."""
    if task.row is not None:
        draft.wake("silence", None if on else task.element.timeout)


def key_pressed(draft: Draft, task: Taking, key: str) -> None:
    if task.row is not None and key in task.element.finish_on:
        ended(draft, task, key)


def ended(draft: Draft, task: Taking, key: str = "") -> None:
    """It has its last sample."""
    assert task.row is not None
    draft.wake("element", None)
    draft.wake("silence", None)
    sound = tapes.stop(draft, task.row)
    draft.act(task.element.action, task.element.redirect, {"Digits": key}, sound)
