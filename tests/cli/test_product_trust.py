"""`dense product drift` and `report`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dense.inspection.ledger import Ledger
from dense.inspection.store.registry import Registry
from tests.cli.conftest import Run
from tests.inspection.products import record
from tests.inspection.test_ledger import decision


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DENSE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DENSE_DATABASE", raising=False)
    registry = Registry(tmp_path / "home")
    registry.create(record(), "created")
    Ledger(registry.database).record_many([(decision(n), None, None) for n in range(30)])
    registry.close()
    return tmp_path / "home"


def test_drift(dense: Run, home: Path, tmp_path: Path) -> None:
    told = dense("product", "drift", "nut", "--json", tmp_path / "drift.json")
    assert told.code == 0 and "No drift found in 30 decisions by version 1" in told.out
    assert json.loads((tmp_path / "drift.json").read_text())["tests"][0]["limit"] == 300
    wrong = dense("product", "drift", "nut", "--alpha", "2")
    assert wrong.code == 2 and "between 0 and 1, got 2" in wrong.err


def test_report(dense: Run, home: Path, tmp_path: Path) -> None:
    pytest.importorskip("reportlab")
    page, document = tmp_path / "report.html", tmp_path / "report.pdf"
    facts = tmp_path / "facts.json"
    told = dense("product", "report", "nut", "--out", page, "--pdf", document, "--json", facts)
    assert told.code == 0, told.err
    head = json.loads(facts.read_text())["log"]["head_hash"]
    assert f"log: sound, 31 entries, head {head}" in told.out
    assert head in page.read_text() and document.read_bytes().startswith(b"%PDF")
    assert dense("verify-log", "--head", head).code == 0
    wrong = dense("product", "report", "bolt", "--out", tmp_path / "none.html")
    assert wrong.code == 2 and not (tmp_path / "none.html").exists()
