"""What music and sound URLs answer → programs. Pure."""

from __future__ import annotations

from mixminus.calls.document.read import read_prompts
from mixminus.calls.sounds.program import Program
from mixminus.calls.sounds.prompts import program_of

_XML_STARTS = (b"<", b"\xef\xbb\xbf<")


def is_document(body: bytes) -> bool:
    """Whether a sound URL answered XML; otherwise it is audio."""
    return body.lstrip().startswith(_XML_STARTS)


def read_program(body: bytes) -> Program:
    """What a music or sound URL answered (API reference 4.7).

    Raises:
        InvalidDocument: it cannot be used; the text says why.
    """
    return program_of(read_prompts(body))
