"""Prompts: sounds played or spoken to one member, several or all (M18-M21): the part of the machine for them. Pure.

Prompts with the same address queue; those with different addresses are heard together. Each has a channel of its own
while it plays, and only those it is for hear that channel. It is made ready before anybody's hearing changes.
"""

from __future__ import annotations

import msgspec

from mixminus.calls import hearing
from mixminus.calls.commands import Done, SoundQueued, StartSound, StopSound
from mixminus.calls.effects import ReadyPrompt, StartPrompt, StopPrompt
from mixminus.calls.inputs import PromptEnded, PromptReady
from mixminus.calls.mpc.audible import Prompt
from mixminus.calls.mpc.draft import Draft, MpcDecision
from mixminus.errors import Conflict, NotFound

LONGEST_QUEUE = 50
"""Prompts of one call, waiting ones included."""


def start(draft: Draft, command: StartSound) -> MpcDecision:
    missing = [member for member in command.members if member not in draft.members]
    if missing:
        raise NotFound(f"no such participant in {draft.row.friendly_name!r}: {', '.join(missing)}")
    if len(draft.prompts) >= LONGEST_QUEUE:
        raise Conflict(f"{LONGEST_QUEUE} sounds are playing or waiting in this call already; stop some first")
    prompt = Prompt(
        id=draft.context.mint.uuid(),
        kind=command.kind,
        program=command.program,
        members=tuple(sorted(set(command.members))),
        mix=command.mix,
    )
    draft.prompts += (prompt,)
    _begin_next(draft)
    heard_by = command.members or tuple(draft.members)
    return draft.finish(SoundQueued(heard_by, draft.row.id, draft.row.friendly_name))


def stop(draft: Draft, command: StopSound) -> MpcDecision:
    """Addressed otherwise than it was started, nothing stops (ruling 56)."""
    address = tuple(sorted(set(command.members)))
    for prompt in draft.prompts:
        if prompt.kind == command.kind and prompt.members == address:
            _remove(draft, prompt)
    _begin_next(draft)
    return draft.finish(Done(draft.row.id, draft.row.friendly_name))


def ready(draft: Draft, command: PromptReady) -> MpcDecision:
    prompt = _find(draft, command.prompt_id)
    if prompt is None:
        return draft.finish()
    channel = _free_channel(draft)
    if command.error or not channel:
        _remove(draft, prompt)
        _begin_next(draft)
        return draft.finish()
    playing = msgspec.structs.replace(prompt, channel=channel)
    draft.prompts = tuple(playing if other is prompt else other for other in draft.prompts)
    _rehear(draft, playing)
    everybody = 0 if playing.members else hearing.EVERYBODY
    draft.do(StartPrompt(prompt.id, draft.room, prompt.program, channel | everybody))
    return draft.finish()


def ended(draft: Draft, command: PromptEnded) -> MpcDecision:
    prompt = _find(draft, command.prompt_id)
    if prompt is not None:
        _remove(draft, prompt, silence=False)
        _begin_next(draft)
    return draft.finish()


def member_left(draft: Draft, member_id: str) -> None:
    """A prompt that nobody is left to hear is over."""
    draft.prompts = tuple(
        msgspec.structs.replace(prompt, gone=prompt.gone | {member_id}) if member_id in prompt.members else prompt
        for prompt in draft.prompts
    )
    for prompt in draft.prompts:
        if prompt.unheard:
            _remove(draft, prompt)
    _begin_next(draft)


def stop_all(draft: Draft) -> None:
    """The call ends."""
    for prompt in draft.prompts:
        _remove(draft, prompt)


def _find(draft: Draft, prompt_id: str) -> Prompt | None:
    return next((prompt for prompt in draft.prompts if prompt.id == prompt_id), None)


def _free_channel(draft: Draft) -> int:
    taken = {prompt.channel for prompt in draft.prompts}
    return next((channel for channel in hearing.PRIVATE if channel not in taken), 0)


def _begin_next(draft: Draft) -> None:
    """Make ready the first prompt of every address that has none at work, while channels last."""
    busy = {prompt.members for prompt in draft.prompts if prompt.begun}
    at_work = sum(prompt.begun for prompt in draft.prompts)
    prompts = list(draft.prompts)
    for index, prompt in enumerate(prompts):
        if prompt.begun or prompt.members in busy or at_work >= len(hearing.PRIVATE):
            continue
        busy.add(prompt.members)
        at_work += 1
        prompts[index] = msgspec.structs.replace(prompt, begun=True)
        draft.do(ReadyPrompt(prompt.id, prompt.program))
    draft.prompts = tuple(prompts)


def _remove(draft: Draft, prompt: Prompt, *, silence: bool = True) -> None:
    draft.prompts = tuple(other for other in draft.prompts if other.id != prompt.id)
    if prompt.channel:
        _rehear(draft, prompt)
        if silence:
            draft.do(StopPrompt(prompt.id))


def _rehear(draft: Draft, prompt: Prompt) -> None:
    draft.rehear.update(member for member in draft.members if prompt.is_for(member))
