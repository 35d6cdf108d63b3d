"""``GetDigits`` and ``GetInput``: prompt, collect keys, ask again, go on (API reference 5.5, 5.6). Pure.

Nothing pressed after the last prompt: the document goes on without a request. Speech is not recognised.
"""

from __future__ import annotations

import msgspec

from mixminus.calls.document.elements import CollectElement
from mixminus.calls.leg.state import Collecting, Draft, program_of
from mixminus.calls.sounds.program import BuiltIn, PlayItem, Program


def start(draft: Draft, element: CollectElement) -> None:
    draft.change(phase="running")
    _ask(draft, Collecting(element))


def _ask(draft: Draft, task: Collecting) -> None:
    element = task.element
    program: Program = program_of(element.prompts) + ((BuiltIn("beep:1"),) if element.beep else ())
    if program:
        draft.change(task=msgspec.structs.replace(task, player=draft.prompt(program)))
    else:
        draft.seat()
        draft.change(task=task)
        draft.wake("element", element.timeout)


def prompt_ended(draft: Draft, task: Collecting) -> None:
    """The prompt was played to its end: the time to press a key runs; after the word that a key was wrong, ask anew."""
    task = msgspec.structs.replace(task, player="")
    if task.invalid:
        _again(draft, msgspec.structs.replace(task, invalid=False))
        return
    draft.change(task=task)
    draft.wake("element", task.element.timeout)


def key_pressed(draft: Draft, task: Collecting, key: str) -> None:
    if task.invalid:
        return
    element = task.element
    draft.hush(task.player)
    task = msgspec.structs.replace(task, player="")
    if key in element.finish_on:
        draft.change(task=task)
        _done(draft, task)
        return
    if key not in element.valid:
        _wrong(draft, task)
        return
    task = msgspec.structs.replace(task, digits=task.digits + key)
    draft.change(task=task)
    if len(task.digits) >= element.most:
        _done(draft, task)
    else:
        draft.wake("element", element.digit_timeout)


def _wrong(draft: Draft, task: Collecting) -> None:
    draft.wake("element", None)
    sound = task.element.invalid_sound
    task = msgspec.structs.replace(task, digits="")
    if not sound:
        _again(draft, task)
        return
    player = draft.prompt((PlayItem(sound),))
    draft.change(task=msgspec.structs.replace(task, player=player, invalid=True))


def timed_out(draft: Draft, task: Collecting) -> None:
    if task.digits:
        _done(draft, task)
    else:
        _again(draft, task)


def _again(draft: Draft, task: Collecting) -> None:
    if task.round >= task.element.retries:
        draft.next()
    else:
        _ask(draft, msgspec.structs.replace(task, round=task.round + 1))


def _done(draft: Draft, task: Collecting) -> None:
    draft.wake("element", None)
    own = {"Digits": task.digits}
    if task.element.kind == "GetInput":
        own = {"InputType": "dtmf", **own, "Speech": "", "SpeechConfidenceScore": "", "BilledAmount": "0.00000"}
    draft.act(task.element.action, task.element.redirect, own)
