"""Who hears whom: the one truth, as a pure function of what each participant is and how it is set.

The hearing matrix is kept in factored form: every source talks on some channels, every listener hears some channels,
and
L hears S exactly when they share one and are not the same. A mask of 0 is silence, and silence is the default.

=============  ========================================================
channel        carries
=============  ========================================================
``TALK``       voices that everybody in the talk may hear
``COACH``      coaching supervisors: agents hear them, customers do not
``SOUNDS``     beeps and announcements for everybody in the talk
``WAIT``       music while the call has not started
``HOLD_STAFF`` hold music of agents and supervisors
``HOLD_CUSTOMER`` hold music of customers
``DIALLING``   what the participants hear while a callee is rung
``EVERYBODY``  goes with prompts for all, so that the recording has them
private ones   a prompt for certain members: each prompt has a channel of its own while it plays
=============  ========================================================

The recording is one more listener: ``RECORDED`` hears every voice, coaching supervisors included, and what is for all
participants: beeps, announcements, prompts for everybody. It hears no music, no ringing, and nothing that is private.
"""

from __future__ import annotations

import msgspec

from mixminus.calls.model import Role

TALK = 1 << 0
COACH = 1 << 1
SOUNDS = 1 << 2
WAIT = 1 << 3
HOLD_STAFF = 1 << 4
HOLD_CUSTOMER = 1 << 5
DIALLING = 1 << 6
EVERYBODY = 1 << 7

PRIVATE = tuple(1 << bit for bit in range(8, 40))
"""Channels of prompts. More prompts than these cannot play in one call at a time."""

RECORDED = TALK | COACH | SOUNDS | EVERYBODY
MUSIC = (WAIT, HOLD_STAFF, HOLD_CUSTOMER)
_ALL_MUSIC = WAIT | HOLD_STAFF | HOLD_CUSTOMER | DIALLING


def recorded(*, coaching: bool) -> int:
    """What a recording hears; without ``coaching``, supervisors are left out of it while they coach."""
    return RECORDED if coaching else RECORDED & ~COACH


_HEARD = TALK | SOUNDS | DIALLING
WHISPERED_TO = frozenset({Role.AGENT, Role.AI_AGENT})
"""Roles that hear coaching supervisors."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What decides a participant's hearing."""

    role: Role
    coach_mode: bool = False
    mute: bool = False
    hold: bool = False
    waiting: bool = False
    """The multiparty call has not started, or the agent it waits for is not there."""
    prompts: int = 0
    """Channels of the prompts that play to it."""
    alone: bool = False
    """One of the prompts replaces the talk instead of being mixed with it."""


class Masks(msgspec.Struct, frozen=True):
    """One participant's row (what it hears) and column (who may hear it) of the matrix, as channel masks."""

    talk: int
    hear: int


def masks(standing: Standing) -> Masks:
    """The channels a participant talks on and hears. Prompts interrupt music; what a member says is heard all along."""
    music = music_of(standing)
    talk = 0 if music else _talk(standing)
    hear = music or _HEARD | (COACH if standing.role in WHISPERED_TO else 0)
    if standing.prompts:
        hear = standing.prompts | (0 if standing.alone else hear & ~_ALL_MUSIC)
    return Masks(talk, hear)


def music_of(standing: Standing) -> int:
    """The channel of the music a participant is given instead of the talk; 0 while it is in the talk."""
    if standing.waiting:
        return WAIT
    if standing.hold:
        return HOLD_CUSTOMER if standing.role is Role.CUSTOMER else HOLD_STAFF
    return 0


def _talk(standing: Standing) -> int:
    if standing.mute:
        return 0
    return COACH if standing.role is Role.SUPERVISOR and standing.coach_mode else TALK


def hears(listener: Masks, source: Masks) -> bool:
    """One cell of the matrix, for two different participants."""
    return bool(listener.hear & source.talk)
