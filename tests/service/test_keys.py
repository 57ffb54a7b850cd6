"""Keys and sessions: who is who, for how long, and what is kept of the secrets."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from dense.cli.main import main
from dense.errors import InputError
from dense.inspection.ledger import Ledger
from dense.inspection.store.registry import Registry
from dense.service import keys as module
from dense.service.core import first_key
from dense.service.keys import KeyStore, Right, Role, csrf_token


@pytest.fixture
def store(registry: Registry) -> KeyStore:
    return KeyStore(registry.database)


def test_a_key_says_who_it_is_and_nothing_near_it_does(store: KeyStore) -> None:
    text, who = store.add("anna", Role.operator)
    assert store.check(text) == who and who.actor == f"anna ({who.key_id})"
    other = "0" if text[-1] != "0" else "1"
    for wrong in (text[:-1], text[:-1] + other, text + "0", "", "dense_", text[6:], "\ud800"):
        assert store.check(wrong) is None


def test_the_database_has_no_secret(tmp_path: Path) -> None:
    store = KeyStore(Registry(tmp_path).database)
    text, who = store.add("anna", Role.operator)
    cookie = store.open_session(who)
    store.database.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("registry.sqlite*"))
    assert who.key_id.encode() in kept
    assert text.rpartition("_")[2].encode() not in kept and cookie.encode() not in kept


def test_a_revoked_key_ends_with_its_sessions(
    store: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, who = store.add("anna", Role.operator)
    cookie = store.open_session(who)
    elsewhere = KeyStore(store.database)
    assert elsewhere.check(text) == who and elsewhere.check_session(cookie) == who
    store.revoke(who.key_id)
    assert store.check(text) is None and store.check_session(cookie) is None
    assert elsewhere.check(text) == who  # believed for a few seconds
    now = time.monotonic()
    monkeypatch.setattr(module.time, "monotonic", lambda: now + module.REMEMBERED)
    assert elsewhere.check(text) is None
    with pytest.raises(InputError, match="no key"):
        store.revoke(who.key_id)


def test_a_session_ends_by_signing_out_and_by_time(
    store: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, who = store.add("anna", Role.auditor)
    one, two = store.open_session(who), store.open_session(who)
    store.close_session(one)
    assert store.check_session(one) is None and store.check_session(two) == who
    assert csrf_token(one) != csrf_token(two)
    now = time.time()
    monkeypatch.setattr(module.time, "time", lambda: now + module.SESSION_SECONDS + 1)
    assert store.check_session(two) is None


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "a\nb"])
def test_a_key_needs_a_name_for_the_log(store: KeyStore, name: str) -> None:
    with pytest.raises(InputError, match="1 to 64 printable"):
        store.add(name, Role.operator)


def test_what_roles_may() -> None:
    may = {role: {right.value for right in module.RIGHTS[role]} for role in Role}
    assert may == {
        Role.operator: {"read", "work"},
        Role.engineer: {"read", "work", "change", "audit"},
        Role.auditor: {"read", "audit"},
    }
    assert module.Who("1", "anna", Role.auditor).may(Right.audit)


def test_the_first_key_is_made_once_and_logged(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    text = first_key(registry)
    who = KeyStore(registry.database).check(text or "")
    assert who is not None and who.role is Role.engineer and first_key(registry) is None
    (entry,) = Ledger(registry.database).entries()
    assert entry.kind == "key" and entry.content["key"] == who.key_id


def test_keys_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home, report = ["--home", str(tmp_path)], tmp_path / "keys.json"
    assert main(["serve-key", "add", "camera 1", "--role", "operator", *home]) == 0
    text = capsys.readouterr().out.strip()
    store = KeyStore(Registry(tmp_path).database)
    who = store.check(text)
    assert who is not None and (who.name, who.role) == ("camera 1", Role.operator)
    assert main(["serve-key", "revoke", who.key_id, *home]) == 0
    assert main(["serve-key", "list", *home, "--json", str(report)]) == 0
    (listed,) = json.loads(report.read_text())["keys"]
    assert listed["id"] == who.key_id and listed["revoked_at"]
    kinds = [entry.content["what"] for entry in Ledger(store.database).entries()]
    assert kinds == ["made", "revoked"]
    assert main(["serve-key", "revoke", "nobody", *home]) == 2
    assert "no key 'nobody'" in capsys.readouterr().err
