"""``docs/xml.md`` says what the program's table says, no more and no less."""

from __future__ import annotations

import re
from pathlib import Path

from mixminus.calls.document.catalogue import ELEMENTS, REFUSED_ELEMENTS

PAGE = (Path(__file__).parents[3] / "docs" / "xml.md").read_text()
_ROW = re.compile(r"^\| `(\w+)` \| (.+) \|$", re.MULTILINE)


def test_the_page_lists_every_attribute_with_what_becomes_of_it() -> None:
    served = PAGE.partition("\n## Served\n")[2]
    found: dict[str, dict[str, str]] = {}
    for section in served.split("\n### ")[1:]:
        found[section.partition("\n")[0]] = dict(_ROW.findall(section))
    assert found == ELEMENTS


def test_the_page_lists_what_is_refused() -> None:
    refused = PAGE.partition("\n## Refused\n")[2].partition("\n## Served\n")[0]
    assert dict(_ROW.findall(refused)) == REFUSED_ELEMENTS
