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
=============  ========================================================

The recording is one more listener: ``RECORDED`` hears every voice, coaching supervisors included, and what the
participants hear as sounds, but no music.
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

RECORDED = TALK | COACH | SOUNDS
MUSIC = (WAIT, HOLD_STAFF, HOLD_CUSTOMER)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What decides a participant's hearing."""

    role: Role
    coach_mode: bool = False
    mute: bool = False
    hold: bool = False
    waiting: bool = False
    """The multiparty call has not started."""


class Masks(msgspec.Struct, frozen=True):
    """One participant's row (what it hears) and column (who may hear it) of the matrix, as channel masks."""

    talk: int
    hear: int


def masks(standing: Standing) -> Masks:
    """The channels a participant talks on and hears."""
    if standing.waiting:
        return Masks(0, WAIT)
    if standing.hold:
        return Masks(0, HOLD_CUSTOMER if standing.role is Role.CUSTOMER else HOLD_STAFF)
    return Masks(_talk(standing), TALK | COACH | SOUNDS if standing.role is Role.AGENT else TALK | SOUNDS)


def _talk(standing: Standing) -> int:
    if standing.mute:
        return 0
    return COACH if standing.role is Role.SUPERVISOR and standing.coach_mode else TALK


def hears(listener: Masks, source: Masks) -> bool:
    """One cell of the matrix, for two different participants."""
    return bool(listener.hear & source.talk)
