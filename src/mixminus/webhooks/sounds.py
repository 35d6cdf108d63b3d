"""What calls are to hear, got from where it is: customers' URLs, signed like every callback, and the voices of the
machine. The :class:`~mixminus.calls.sounds.players.Sounds` of the real server.
"""

from __future__ import annotations

from mixminus.calls.document import InvalidDocument
from mixminus.calls.sounds.document import is_document, read_program
from mixminus.calls.sounds.program import PlayItem, Program, SpeakItem
from mixminus.calls.sounds.request import DocumentItem
from mixminus.errors import OutboundError, SoundError
from mixminus.sounds.library import SoundLibrary
from mixminus.sounds.speech import Speaker
from mixminus.webhooks.documents import Documents


class CallSounds:
    """``limit``: bytes a sound URL may answer."""

    def __init__(self, library: SoundLibrary, speaker: Speaker, documents: Documents, *, limit: int) -> None:
        self._library = library
        self._speaker = speaker
        self._documents = documents
        self._limit = limit

    async def file(self, item: PlayItem | SpeakItem) -> str:
        """Path of a WAV file the media workers can play. Raises SoundError."""
        if isinstance(item, PlayItem):
            return str(await self._library.file(item.url))
        return str(await self._speaker.file(item.text, voice=item.voice, language=item.language))

    async def program(self, item: DocumentItem) -> Program:
        """XML, or audio, which is kept: a URL known to answer audio is asked again only when that is old."""
        url = item.callback.url
        if await self._library.fresh(url):
            return (PlayItem(url),)
        try:
            body = await self._documents.fetch_sound(
                item.callback, item.request, account=item.account, sub_account=item.sub_account, limit=self._limit
            )
            if is_document(body):
                return read_program(body)
        except OutboundError as error:
            raise SoundError(str(error)) from None
        except InvalidDocument as error:
            raise SoundError(f"{url}: {error}") from None
        await self._library.put(url, body)
        return (PlayItem(url),)
