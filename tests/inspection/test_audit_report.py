"""The report: what it tells is what registry and log hold; hostile words do nothing."""

from __future__ import annotations

import io
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dense.charts import Label, Scale
from dense.errors import InputError, MissingDependencyError
from dense.inspection.audit_report import AuditReport, audit_report
from dense.inspection.calibration import Scores, make_calibration
from dense.inspection.ledger import Ledger, acting_as
from dense.inspection.product import Member, Picture, fingerprint
from dense.inspection.store.registry import Registry
from dense.prompts import StateWords
from tests.inspection.products import part, record
from tests.inspection.test_ledger import decision, tamper

HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">&amp;<b>'


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """A product with hostile words everywhere, calibrated, judged, with feedback."""
    registry = Registry(tmp_path / "home")
    stream = io.BytesIO()
    Image.fromarray(part(0)).save(stream, format="PNG")
    blob = registry.blobs.put(stream.getvalue())
    scores = {"": tuple(np.linspace(0.1, 0.5, 20))}
    known = replace(
        make_calibration("split", 0.1, Scores({"": list(scores[""])}, {"": list(scores[""])})),
        defects={"": (0.3, 0.7, 0.9)},
        pictures="d" * 64,
    )
    product = replace(
        record(),
        words=HOSTILE,
        support=(Picture(HOSTILE, blob, "b" * 64, (64, 96)),),
        traits=registry.blobs.put(b"traits"),
        members=(Member((0,), registry.blobs.put(b"bank")),),
        state_words=StateWords((HOSTILE, "刮痕"), ("oil",)),
        calibration=known,
    )
    with acting_as(HOSTILE):
        registry.create(product, HOSTILE)
        ledger = Ledger(registry.database)
        judged = [decision(n, "reject" if n % 4 == 0 else "pass") for n in range(40)]
        ledger.record_many([(one, None, None) for one in judged])
        ledger.give_feedback(judged[4].id, "false-alarm", HOSTILE)
    return registry


class Reader(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attributes

    def handle_data(self, data: str) -> None:
        self.text += data


def test_what_the_page_tells(registry: Registry) -> None:
    report = audit_report(registry, "nut")
    read = Reader(report.html)
    product, log = registry.get("nut").product, Ledger(registry.database).verify()
    assert product.calibration is not None
    for told in (
        fingerprint(product),
        product.weights,
        product.traits,
        product.members[0].bank,
        "b" * 64,
        "d" * 64,
        repr(product.calibration.thresholds[""]),
        "At most 0.0952 of good parts are rejected",
        "1 of 3; 95 % interval",
        "40: 30 pass, 10 reject, 0 refused",
        "sound: all 42 entries",
        log.head_hash,
        "1 were false alarms",
        "No drift found in 40 decisions",
        "all 3 files have the hashes",
        HOSTILE,
    ):
        assert str(told) in read.text, told
    plain = report.to_json()
    assert plain["product_sha256"] == fingerprint(product) and plain["reasons"] == {"defect": 10}


def test_hostile_words_do_nothing_in_the_page(registry: Registry) -> None:
    read = Reader(audit_report(registry, "nut").html)
    assert "script" not in read.tags and "b" not in read.tags
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    for name, value in read.attributes:
        if name in ("src", "href"):
            assert value is not None and value.startswith(("data:", "#")), value
    assert "http" not in re.sub(r"data:image[^\"]*", "", audit_report(registry, "nut").html)


def test_the_document_says_the_same(registry: Registry) -> None:
    pytest.importorskip("reportlab")
    report = audit_report(registry, "nut")
    data = report.pdf
    assert data.startswith(b"%PDF") and data == report.pdf
    assert data.count(b"/Type /Page\n") >= 3
    assert b"/JavaScript" not in data and b"/URI" not in data

    from dense.inspection.audit_report.pdf import _readable

    assert _readable("Öl 刮\x00a") == "Öl ‹U+522E›‹U+0000›a"


def test_a_pdf_without_its_library(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "dense.inspection.audit_report.pdf", raising=False)
    monkeypatch.setitem(sys.modules, "reportlab.graphics.shapes", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'dense-clip\[service\]'"):
        _ = audit_report(registry, "nut").pdf


def test_damage_is_told_not_hidden(registry: Registry, tmp_path: Path) -> None:
    product = registry.get("nut").product
    place = registry.blobs.root / product.support[0].blob[:2] / product.support[0].blob
    place.write_bytes(b"something else")
    registry.close()
    tamper(
        tmp_path / "home",
        "DROP TRIGGER log_UPDATE",
        "UPDATE log SET actor = 'eve' WHERE seq = 9",
    )
    report = audit_report(Registry(tmp_path / "home"), "nut")
    text = Reader(report.html).text
    assert "BROKEN at entry 9: entry 9 was changed" in text
    assert "DAMAGED: 1 of 3 files" in text and "a file is damaged" in text
    assert isinstance(report, AuditReport) and report.facts.pictures == []


def test_a_product_without_anything(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    registry.create(record(), "created")
    text = Reader(audit_report(registry, "nut").html).text
    for told in (
        "none: there is no calibration yet",
        "This product has no threshold yet",
        "Nothing was judged yet",
        "No person has said",
        "Too early to say: 0 decisions",
        "DAMAGED: 2 of 2 files",
    ):
        assert told in text, told
    with pytest.raises(InputError, match="unknown product 'bolt'"):
        audit_report(registry, "bolt")


def test_scales_by_hand() -> None:
    across = Scale(10, 20, 100, 300)
    assert [across(value) for value in (10, 15, 20, 99, -99)] == [100, 200, 300, 300, 100]
    assert across.ticks() == [10, 12, 14, 16, 18, 20]
    up = Scale(0.1, 1000, 40, 0, log=True)
    assert up(0.1) == 40 and up(10) == pytest.approx(20) and up(1000) == 0
    assert up.ticks(8) == pytest.approx([0.1, 1, 10, 100, 1000])
    assert Scale(3, 3, 0, 10)(3) == 5 and Scale(3, 3, 0, 10).ticks() == [3]


def test_the_score_chart_counts_every_part() -> None:
    """Bars of one height unit each: areas add up to the number of parts."""
    from dense.charts import Bar
    from dense.inspection.audit_report.plots import score_chart

    generator = np.random.default_rng(0)
    good, bad = generator.random(37).tolist(), generator.random(11).tolist()
    chart = score_chart(good, bad, 0.9, "head")
    bars = [mark for mark in chart.marks if isinstance(mark, Bar) and mark.opacity == 0.75]
    unit = min(bar.height for bar in bars)
    counted = {"accent": 0, "bad": 0}
    for bar in bars:
        counted[bar.role] += round(bar.height / unit)
    assert counted == {"accent": 37, "bad": 11}
    labels = [mark.text for mark in chart.marks if isinstance(mark, Label)]
    assert "threshold 0.9" in labels and "region head" in chart.caption
