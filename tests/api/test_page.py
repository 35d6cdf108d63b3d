from __future__ import annotations

from html.parser import HTMLParser

from mixminus.api.app import OPERATIONS
from mixminus.api.openapi import document
from mixminus.api.page import page


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.tags: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_shows_every_operation_and_needs_nothing_from_elsewhere() -> None:
    described = document(OPERATIONS, "mixminus <b>", "1.0")
    reader = Reader()
    reader.feed(page(described))
    assert reader.links == ["openapi.json"]
    assert "script" not in reader.tags
    assert "mixminus <b> 1.0" in reader.text
    for path, verbs in described["paths"].items():
        assert path in reader.text
        for operation in verbs.values():
            assert operation["summary"] in reader.text
    assert "max_participants" in reader.text
