from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mixminus.clock import ManualClock
from mixminus.errors import OutboundError, SoundError
from mixminus.media.sound.storage import load_wide
from mixminus.outbound.request import OutboundRequest, OutboundResponse
from mixminus.sounds import library as module
from mixminus.sounds.cache import KEEP_SECONDS, SoundFolder
from mixminus.sounds.decoder import main
from mixminus.sounds.library import Limits, SoundLibrary

URL = "http://app.test/a b.wav#ct=100"


def wav(level: float = 0.25, seconds: float = 1.0) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.full(round(16_000 * seconds), level), 16_000, format="WAV")
    return file.getvalue()


class Web:
    """One URL's server. ``answers`` are used up one by one, the last for good."""

    def __init__(self, *answers: OutboundResponse | OutboundError) -> None:
        self.answers = list(answers)
        self.requests: list[OutboundRequest] = []

    async def fetch(self, request: OutboundRequest) -> OutboundResponse:
        self.requests.append(request)
        await asyncio.sleep(0)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, OutboundError):
            raise answer
        return answer


def ok(body: bytes, **headers: str) -> OutboundResponse:
    return OutboundResponse(200, {name.replace("_", "-"): value for name, value in headers.items()}, body, URL)


@pytest.fixture(autouse=True)
def decoded_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Decode in this process: starting one takes longer than the whole test."""

    async def run(arguments: list[str], *, seconds: float) -> None:
        from mixminus.sounds.decode import write_wavs

        source, target, rates, longest = arguments[-4:]
        numbers = [int(rate) for rate in rates.split(",")]
        write_wavs(Path(source), Path(target), rates=numbers, longest_seconds=float(longest))

    monkeypatch.setattr(module, "run", run)
    assert callable(main)
    yield


class Shelf:
    def __init__(self, tmp_path: Path, web: Web, wide: tuple[int, ...] = (), **limits: float) -> None:
        self.clock, self.web = ManualClock(), web
        self.folder = SoundFolder(tmp_path, 10**9, wide=wide)
        self.library = SoundLibrary(web, self.folder, clock=self.clock, limits=Limits(**limits))  # type: ignore[arg-type]

    async def samples(self, rate: int | None = None) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        pcm, found = soundfile.read(await self.library.file(URL, rate=rate), dtype="int16")
        assert found == (rate or 8000)
        return pcm  # type: ignore[no-any-return]


def half_made(folder: Path) -> list[Path]:
    return list(folder.glob("*/*.part"))


async def test_a_url_is_fetched_once_and_made_fit(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, Web(ok(wav())))
    first = await shelf.samples()
    assert first.size == 8000 and np.abs(first[1000:-1000] - 8192).max() <= 2
    assert (await shelf.samples(48_000)).size == 48_000
    await shelf.samples()
    assert [request.url for request in shelf.web.requests] == ["http://app.test/a%20b.wav"]


async def test_those_who_ask_at_the_same_time_share_one_fetch(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, Web(ok(wav())))
    one = asyncio.ensure_future(shelf.library.file(URL))
    others = [asyncio.ensure_future(shelf.library.file(URL)) for _ in range(9)]
    await asyncio.sleep(0)
    one.cancel()
    paths = await asyncio.gather(*others)
    assert len(set(paths)) == len(shelf.web.requests) == 1


async def test_an_old_answer_is_checked_and_an_unchanged_one_not_sent_again(tmp_path: Path) -> None:
    unchanged = OutboundResponse(304, {}, b"", URL)
    shelf = Shelf(tmp_path, Web(ok(wav(), etag='"1"', last_modified="yesterday"), unchanged, ok(wav(-0.25))))
    await shelf.samples()
    assert await shelf.library.fresh(URL)
    shelf.clock.advance(301)
    assert not await shelf.library.fresh(URL)
    assert (await shelf.samples())[4000] > 0
    asked = shelf.web.requests[1].headers
    assert (asked["If-None-Match"], asked["If-Modified-Since"]) == ('"1"', "yesterday")
    await shelf.samples()
    assert len(shelf.web.requests) == 2
    shelf.clock.advance(301)
    assert (await shelf.samples())[4000] < 0


async def test_an_old_answer_is_used_when_the_server_is_down(tmp_path: Path) -> None:
    down = OutboundError("connect", f"{URL}: no connection in time")
    shelf = Shelf(tmp_path, Web(ok(wav()), down))
    await shelf.samples()
    shelf.clock.advance(301)
    assert (await shelf.samples()).size == 8000
    assert len(shelf.web.requests) == 3, "tried twice"


@pytest.mark.parametrize(
    ("answer", "reason", "tries"),
    [
        (OutboundResponse(404, {}, b"", URL), "answered 404", 2),
        (OutboundError("connect", "http://app.test/a b.wav: no connection in time"), "no connection in time", 2),
        (OutboundError("address", "http://app.test/a b.wav: 10.0.0.1 is not a public address"), "not a public", 1),
        (OutboundError("size", "http://app.test/a b.wav: the answer is longer than 20 bytes"), "longer than 20", 1),
        (ok(b"<html/>"), "no mp3, wav, ogg or flac", 1),
        (ok(wav(seconds=2)), "longer than 1.5 s", 1),
    ],
)
async def test_a_failure_names_the_url_and_the_reason(
    tmp_path: Path, answer: OutboundResponse | OutboundError, reason: str, tries: int
) -> None:
    shelf = Shelf(tmp_path, Web(answer), seconds=1.5)
    with pytest.raises(SoundError, match=reason) as error:
        await shelf.library.file(URL)
    assert "app.test" in str(error.value)
    assert len(shelf.web.requests) == tries
    assert not half_made(tmp_path)


async def test_one_retry_heals(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, Web(OutboundResponse(503, {}, b"", URL), ok(wav())))
    assert (await shelf.samples()).size == 8000


async def test_what_somebody_else_fetched_needs_no_fetch(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, Web(OutboundResponse(500, {}, b"", URL)))
    await shelf.library.put(URL, wav())
    assert (await shelf.samples()).size == 8000 and not shelf.web.requests
    await shelf.library.close()


async def test_something_that_is_no_url_is_named(tmp_path: Path) -> None:
    with pytest.raises(SoundError, match="must begin with http"):
        await Shelf(tmp_path, Web(ok(b""))).library.file("ftp://x/y.wav")


async def test_the_oldest_files_go_first_and_those_in_use_stay(tmp_path: Path) -> None:
    folder = SoundFolder(tmp_path, limit=250)
    names = [folder.keep(bytes([letter]) * 100) for letter in b"abc"]
    paths = [folder.original(name) for name in names]
    now = paths[0].stat().st_mtime
    assert folder.tidy(now) == 0, "all were used a moment ago"
    assert folder.tidy(now + KEEP_SECONDS + 60) == 100
    assert sum(path.exists() for path in paths) == 2
    assert not folder.use(folder.wav("gone", 8000))


WIDE = (16_000, 48_000)


async def test_what_has_more_to_it_lies_beside_at_the_wide_rates(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, Web(ok(wav())), WIDE)
    path = await shelf.library.file(URL)
    assert sorted(one.name for one in path.parent.iterdir()) == sorted(
        path.name.replace("-8000.", f"-{rate}.") for rate in (8_000, *WIDE)
    )
    for rate in WIDE:
        wide = load_wide(str(path), rate, rate)
        assert wide is not None and wide.size == rate, "the engine finds it"
    assert not half_made(tmp_path)


async def test_other_rates_than_before_are_made_anew(tmp_path: Path) -> None:
    for wide in ((), (16_000,), WIDE):
        path = await Shelf(tmp_path, Web(ok(wav())), wide).library.file(URL)
        assert [load_wide(str(path), rate, rate) is not None for rate in WIDE] == [rate in wide for rate in WIDE]


def leave_out_the_oldest(folder: SoundFolder, root: Path, path: Path) -> None:
    """As if what is beside ``path`` had not been used for long, and the room did not suffice for all."""
    used_at = path.stat().st_mtime
    for one in (*(root / "urls").iterdir(), *(root / "originals").iterdir()):
        os.utime(one, (used_at + 60, used_at + 60))
    limit, folder._limit = folder._limit, sum(one.stat().st_size for one in root.glob("*/*")) - 1
    folder.tidy(used_at + KEEP_SECONDS + 120)
    folder._limit = limit


async def test_of_the_rates_of_a_sound_the_narrow_one_goes_first_so_that_all_are_made_again(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, Web(ok(wav())), WIDE)
    path = await shelf.library.file(URL)
    leave_out_the_oldest(shelf.folder, tmp_path, path)
    assert not path.exists() and len(list(path.parent.iterdir())) == 2
    assert await shelf.library.file(URL) == path
    assert len(list(path.parent.iterdir())) == 3
