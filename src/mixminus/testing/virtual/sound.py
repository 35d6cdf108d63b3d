"""A phone's sound in virtual time, whatever it speaks.

G.711 has no memory, so many of its frames are taken in one pass. Opus and G.722 have: a phone in a call with them goes
frame by frame, and everybody in its world with it.
"""

from __future__ import annotations

from mixminus.media.batch import Bytes
from mixminus.sdp.answer import MediaPlan
from mixminus.testing.sources import FRAME, silence
from mixminus.testing.virtual.bank import BankAudio
from mixminus.testing.virtual.tape import LAWS, LINEAR, Codes


class PhoneSound(BankAudio):
    """Of codecs with a memory the tapes keep samples: those that were said, before encoding, and those heard."""

    _frame = silence(0)

    @property
    def regular(self) -> bool:
        return super().regular and self.codec in LAWS

    def step(self) -> list[bytes]:
        self._frame = self.mouth.peek(FRAME)
        return super().step()

    def _as_said(self, plan: MediaPlan, payload: bytes) -> tuple[int, Codes]:
        return super()._as_said(plan, payload) if plan.codec in LAWS else (LINEAR, self._frame)

    def _as_heard(self, plan: MediaPlan, payload: Bytes) -> tuple[int, Codes]:
        if plan.codec in LAWS:
            return super()._as_heard(plan, payload)
        return LINEAR, self._tongue.decode(payload.tobytes())
