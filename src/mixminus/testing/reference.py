"""The most that a receiver could make of a stream of Opus or G.722: every packet that came is in time, and in order.

Nothing of the media engine is in here but the bindings of the two codecs, so that its sound can be laid beside this.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mixminus.media.codecs import g722, opus

Pcm = NDArray[np.int16]


def decode_opus(packets: Sequence[bytes | None]) -> Pcm:
    """Packets of 20 ms in order of sending, None: lost → (960 N,) int16 at 48 kHz.

    As ``opus_demo`` of libopus does it: what is lost is taken from the redundancy of the packet behind it if that one
    came, and otherwise is left to the decoder's own concealment.

    Raises MediaError: a packet is no Opus, or there is no libopus.
    """
    decoder = opus.Decoder()
    sound = np.zeros((len(packets), opus.FRAME), np.int16)
    for packet, behind, out in zip(packets, [*packets, None][1:], sound, strict=True):
        if packet is not None:
            decoder.decode(packet, out)
        elif behind is not None:
            decoder.recover(behind, opus.FRAME, out)
        else:
            decoder.conceal(opus.FRAME, out)
    return sound.reshape(-1)


def decode_g722(packets: Sequence[bytes | None]) -> Pcm:
    """Packets of 160 bytes in order of sending, None: lost → (320 N,) int16 at 16 kHz.

    G.722 itself knows no concealment: the decoder is given the last packet that came once more, for as long as a gap
    is; before the first there is silence.
    """
    decoder = g722.Decoder()
    sound, last = [], b""
    for packet in packets:
        last = packet or last
        sound.append(decoder.decode(last) if last else np.zeros(2 * g722.FRAME_BYTES, np.int16))
    return np.concatenate(sound) if sound else np.zeros(0, np.int16)
