"""What the demo claims about its call, each claim measured. Pure: sound and callbacks in, verdicts out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mixminus.testing import ear, sources
from mixminus.testing.sink import Received

ALIKE = 0.8
"""Likeness from which a voice counts as heard; the same speech through the call has 0.9 and more."""
UNLIKE = 0.4
"""Likeness below which it counts as not there; unrelated speech has 0.15."""
_SLACK = 0.3
"""Seconds by which the file may differ from what our own clock says: requests take time to arrive."""


_SOON = 1.0
"""Seconds from asking for the end of a recording to the callback that announces it."""
_NAMES: dict[sources.Voice, str] = {
    "agent": "the agent",
    "customer": "the customer",
    "supervisor": "the supervisor",
    "card": "the card number said in the pause",
    "goodbye": "the goodbye after the pause",
}


@dataclass(frozen=True)
class Verdict:
    """One claim, whether it holds, and the figure it rests on."""

    claim: str
    holds: bool
    evidence: str


@dataclass(frozen=True)
class Speech:
    """One utterance: who said which voice, and from when to when (``CLOCK_MONOTONIC`` ns)."""

    speaker: str
    voice: sources.Voice
    start_ns: int
    end_ns: int


@dataclass(frozen=True)
class Stretch:
    """What a phone heard, beginning at ``began_ns`` (``CLOCK_MONOTONIC`` ns)."""

    samples: sources.Samples
    began_ns: int

    def during(self, speech: Speech) -> sources.Samples:
        """What was heard while ``speech`` was said and the half second after."""
        return self.samples[self._index(speech.start_ns) : self._index(speech.end_ns + 500_000_000)]

    def _index(self, at_ns: int) -> int:
        return max(0, (at_ns - self.began_ns) * sources.RATE // 1_000_000_000)


@dataclass(frozen=True)
class Placed:
    """Where an utterance lies in the recording, seconds."""

    speaker: str
    voice: sources.Voice
    span: ear.Span


def place(speeches: Sequence[Speech], recording: sources.Samples) -> list[Placed]:
    """Those utterances that are in the recording, by their first two seconds."""
    placed = []
    for speech in speeches:
        sound = sources.voice(speech.voice)
        found = ear.find(sound[: 2 * sources.RATE], recording)
        if found.likeness > ALIKE:
            placed.append(
                Placed(speech.speaker, speech.voice, ear.Span(found.at, found.at + len(sound) / sources.RATE))
            )
    return sorted(placed, key=lambda one: one.span)


def judge_recording(
    recording: sources.Samples, expected_seconds: float, latency: float, recorded: Sequence[Speech], secret: Speech
) -> list[Verdict]:
    """The file: soon there, as long as the call less its pause, everybody in it, nothing of what the pause held."""
    seconds = len(recording) / sources.RATE
    verdicts = [
        Verdict(
            "the recording is as long as the call less its pause",
            abs(seconds - expected_seconds) <= _SLACK,
            f"{seconds:.3f} s; {expected_seconds:.2f} s by the demo's own clock",
        ),
        Verdict("the file was announced within a second of its end", latency <= _SOON, f"after {latency:.2f} s"),
    ]
    verdicts += [_is_in(speech, "the recording", recording) for speech in recorded]
    likeness = ear.holds(sources.voice(secret.voice), recording)
    claim = f"{_NAMES[secret.voice]} is not in the recording"
    return [*verdicts, Verdict(claim, likeness <= UNLIKE, f"likeness {likeness:.2f}")]


def judge_hearing(heard: Mapping[str, Stretch], coaching: Speech, others: Sequence[Speech]) -> list[Verdict]:
    """The phones: the agent heard the supervisor, the customer did not; agent and customer heard each other."""
    verdicts = [_is_in(coaching, "what the agent heard", heard["agent"].during(coaching))]
    meanwhile = heard["customer"].during(coaching)
    likeness, loud = ear.holds(sources.voice(coaching.voice), meanwhile), ear.level(meanwhile)
    evidence = (
        f"likeness {likeness:.2f}, " + ("silence" if loud == -float("inf") else f"{loud:.0f} dBFS") + " meanwhile"
    )
    verdicts.append(Verdict("the supervisor is not in what the customer heard", likeness <= UNLIKE, evidence))
    for speech in others:
        listener = "customer" if speech.speaker == "agent" else "agent"
        verdicts.append(_is_in(speech, f"what the {listener} heard", heard[listener].during(speech)))
    return verdicts


def judge_callbacks(received: Sequence[Received]) -> list[Verdict]:
    """The callbacks: every signature right, every sequence without a gap and in order."""
    right = sum(one.signature.valid for one in received)
    verdicts = [
        Verdict("every callback is signed rightly", right == len(received) > 0, f"{right} of {len(received)} valid")
    ]
    lanes: dict[str, list[int]] = {}
    for one in received:
        if one.sequence is not None:
            lanes.setdefault(one.path, []).append(one.sequence)
    ordered = all(lane == list(range(lane[0], lane[0] + len(lane))) for lane in lanes.values())
    counts = ", ".join(f"{path.strip('/')} {lane[0]}-{lane[-1]}" for path, lane in lanes.items())
    verdicts.append(Verdict("callbacks came in order", ordered and bool(lanes), counts or "no sequence numbers"))
    return verdicts


def _is_in(speech: Speech, where: str, samples: sources.Samples) -> Verdict:
    likeness = ear.holds(sources.voice(speech.voice), samples)
    return Verdict(f"{_NAMES[speech.voice]} is in {where}", likeness >= ALIKE, f"likeness {likeness:.2f}")
