"""`dense verify-log`: sound, broken and wrong input have exit codes of their own."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from dense.inspection.ledger import Ledger
from dense.inspection.store.registry import Registry
from tests.cli.conftest import Run


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("DENSE_DATABASE", raising=False)
    registry = Registry(tmp_path / "home")
    for number in range(5):
        Ledger(registry.database).append("key", "", {"number": number})
    registry.close()
    return tmp_path / "home"


def test_sound_then_broken(dense: Run, home: Path, tmp_path: Path) -> None:
    where = ("verify-log", "--home", home)
    head, lines = tmp_path / "head.json", tmp_path / "log.jsonl"
    sound = dense(*where, "--json", head, "--export", lines, "--rebuild")
    known = json.loads(head.read_text())["head_hash"]
    assert (sound.code, sound.out) == (0, f"sound: 5 entries, head {known}\n")
    assert dense(*where, "--head", head).code == 0
    assert dense(*where, "--head", known).code == 0
    assert dense("verify-log", "--file", lines, "--head", head).code == 0

    kept = tmp_path / "kept.json"
    assert dense(*where, "--keep-head", kept).code == dense(*where, "--keep-head", kept).code == 0
    assert json.loads(kept.read_text())["entries"] == 5

    text = lines.read_text()
    lines.write_text(text.replace("local:", "remote:", 3))
    broken = dense("verify-log", "--file", lines, "--json", tmp_path / "found.json")
    assert (broken.code, broken.err) == (1, "")
    assert broken.out.startswith("BROKEN at entry 1: entry 1 was changed")
    assert json.loads((tmp_path / "found.json").read_text())["broken_at"] == 1

    connection = sqlite3.connect(home / "registry.sqlite")
    connection.execute("DROP TRIGGER log_DELETE")
    connection.execute("DELETE FROM log WHERE seq > 3")
    connection.commit()
    connection.close()
    assert dense(*where).code == 0
    cut = dense(*where, "--head", head, "--export", tmp_path / "none.jsonl")
    assert cut.code == 1 and "BROKEN at entry 4: the log ends with entry 3" in cut.out
    assert "3 entries before it are sound" in cut.out
    assert not (tmp_path / "none.jsonl").exists()
    assert dense(*where, "--keep-head", kept).code == 1
    assert json.loads(kept.read_text())["entries"] == 5  # a broken log does not move it


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--home", "nowhere"), "no registry in nowhere: give its folder with --home"),
        (("--file", "log.jsonl"), "cannot read log.jsonl: No such file"),
        (("--file", "log.jsonl", "--rebuild"), "leave out --export and --rebuild"),
        (("--head", "a", "--keep-head", "b"), "both name a known head"),
        (("--head", "head.json"), "a head is a hash of 64 hexadecimal letters"),
    ],
)
def test_wrong_input(
    dense: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DENSE_DATABASE", raising=False)
    found = dense("verify-log", *options)
    assert found.code == 2 and sentence in found.err
    assert list(tmp_path.iterdir()) == []
