"""The page: everything escaped, nothing fetched, pictures inside."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from dense.errors import InputError
from dense.report import Entry, Figure, Section, Table, data_uri, render_report, write_report
from tests.helpers import photo

EVIL = "<script>alert('x')</script>\"&' $title ${nope} \u732b"


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def _page(**words: str) -> str:
    entry = Entry(
        EVIL,
        [Figure(photo(), EVIL)],
        facts=[(EVIL, EVIL)],
        tags=[(EVIL, (1, 2, 255)), (EVIL, None)],
        note=EVIL,
    )
    return render_report(
        EVIL, [Section(EVIL, EVIL, [entry], Table([EVIL], [[EVIL, EVIL]]))], **words
    )


def test_words_from_outside_are_escaped():
    page = _page(subtitle=EVIL, footer=EVIL)
    parsed = _Tags()
    parsed.feed(page)
    assert "script" not in parsed.tags
    assert parsed.text.count(EVIL) == page.count("alert(") - 1  # the other is the alt text
    assert ("alt", EVIL) in parsed.attributes


def test_nothing_is_fetched():
    parsed = _Tags()
    parsed.feed(_page())
    addresses = [value for name, value in parsed.attributes if name in ("src", "href", "srcset")]
    assert addresses and all(value.startswith(("data:", "#s")) for value in addresses)
    page = _page()
    assert "http" not in page and "url(" not in page and "@import" not in page
    assert "prefers-color-scheme: dark" in page and "width=device-width" in page


def test_pictures_come_back_from_the_page():
    image = photo(60, 90)
    uri = data_uri(image)
    assert uri.startswith("data:image/jpeg;base64,")
    decoded = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))
    assert decoded.shape == image.shape
    assert np.abs(decoded.astype(int) - image).mean() < 6


def test_large_pictures_are_shrunk():
    uri = data_uri(np.zeros((3000, 1500, 3), np.uint8))
    size = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).size
    assert size == (480, 960)


def test_tag_colour():
    assert "background:#0102ff" in _page()


def test_written_whole_and_utf8(tmp_path):
    path = write_report(tmp_path / "deep" / "index.html", "猫", [Section("a")])
    assert "猫" in path.read_text(encoding="utf-8")
    assert [p.name for p in path.parent.iterdir()] == ["index.html"]


def test_refusals(tmp_path):
    with pytest.raises(InputError, match="at least one section"):
        render_report("t", [])
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        write_report(tmp_path / "file" / "index.html", "t", [Section("a")])
