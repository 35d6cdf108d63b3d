"""The table of attributes against the readers: what acts is read, what is read is in the table."""

from __future__ import annotations

from xml.etree.ElementTree import Element as XmlElement
from xml.etree.ElementTree import fromstring

import pytest

from mixminus.calls.document import dial
from mixminus.calls.document.attributes import Attributes
from mixminus.calls.document.catalogue import ELEMENTS, REFUSED_ELEMENTS
from mixminus.calls.document.read import READERS

SMALLEST = {
    "MultiPartyCall": '<MultiPartyCall role="agent">a</MultiPartyCall>',
    "Speak": "<Speak>a</Speak>",
    "Play": "<Play>http://a.test/a.mp3</Play>",
    "DTMF": "<DTMF>1</DTMF>",
    "Redirect": "<Redirect>http://a.test/</Redirect>",
    "GetInput": '<GetInput action="http://a.test/" digitEndTimeout="5"/>',
    "Dial": "<Dial><Number>1</Number></Dial>",
    "Number": "<Number>1</Number>",
    "User": "<User>sip:a@b.test</User>",
    "Conference": "<Conference>a</Conference>",
}


def element(tag: str) -> XmlElement:
    return fromstring(SMALLEST.get(tag, f"<{tag}/>"))


@pytest.mark.parametrize("tag", sorted(ELEMENTS))
def test_every_attribute_of_the_table_is_read_and_no_other(tag: str) -> None:
    attributes = Attributes(element(tag))
    if tag in ("Number", "User"):
        dial._target(element(tag), attributes)
    else:
        READERS[tag](element(tag), attributes)
    assert attributes.taken == set(ELEMENTS[tag])


def test_every_element_is_in_the_table_once() -> None:
    assert set(READERS) | {"Number", "User"} == set(ELEMENTS)
    assert not set(ELEMENTS) & set(REFUSED_ELEMENTS)
