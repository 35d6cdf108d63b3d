"""The tables of the documentation say what the code says."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parent.parent.parent / "docs"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["compatibility.md", "configuration.md", "cli.md"])
def test_the_tables_are_current(generate: ModuleType, name: str) -> None:
    text = (DOCS / name).read_text()
    assert generate.page(text) == text, f"docs/{name} is out of date: run 'make docs'"


def test_every_setting_and_table_has_its_sentence(generate: ModuleType) -> None:
    rows = generate.settings().splitlines()[2:]
    assert len(rows) > 20
    assert [row for row in rows if row.endswith("|  |")] == []


def test_every_section_stands_on_a_page(generate: ModuleType) -> None:
    pages = "".join((DOCS / name).read_text() for name in generate.PAGES)
    assert [name for name in generate.SECTIONS if f"<!-- generated: {name} -->" not in pages] == []
