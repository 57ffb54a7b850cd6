"""Addresses, secrets, and the sinks that write files."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from dense.errors import InputError
from dense.inspection.ledger import Ledger
from dense.inspection.secrets import Secrets
from dense.inspection.sinks import DeliveryError, Message, open_sink
from dense.inspection.sinks.lines import COLUMNS
from dense.inspection.store.registry import Registry
from tests.inspection.line import body, message
from tests.inspection.test_ledger import decision

NONE = Secrets(environment={})


def test_jsonl_holds_every_decision_on_a_line(tmp_path):
    path = tmp_path / "new" / "a.jsonl"
    sink = open_sink(f"jsonl:{path}", NONE)
    sink.deliver([message(1), message(2, source="zwei\n.png")])
    sink.deliver([message(3)])
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert rows == [message(1).body, message(2, source="zwei\n.png").body, message(3).body]


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_line_that_a_crash_cut_off_is_removed(tmp_path, kind):
    path = tmp_path / "a"
    sink = open_sink(f"{kind}:{path}", NONE)
    sink.deliver([message(1), message(2)])
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    sink.deliver([message(2)])
    assert path.read_bytes() == whole


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path):
    path = tmp_path / "a.csv"
    sink = open_sink(f"csv:{path}", NONE)
    sink.deliver([message(1)])
    path.rename(tmp_path / "a.csv.1")
    sink.deliver([message(2)])
    assert path.read_text().startswith("sequence,id,product")
    assert len(path.read_text().splitlines()) == 2


def test_csv_columns_and_formulas(tmp_path):
    path = tmp_path / "a.csv"
    defects = [{"box": [1, 2, 3, 4]}, {"box": [5, 6, 7, 8]}]
    reasons = [{"text": "one,\n two"}, {"text": "three"}]
    row = message(4, "reject", defects=defects, reasons=reasons, source="=cmd|' /C calc'!A0.png")
    open_sink(f"csv:{path}", NONE).deliver([row])
    open_sink(f"csv:{path}", NONE).deliver([message(5, score=None)])
    with path.open(newline="") as stream:
        header, first, second = csv.reader(stream)
    assert tuple(header) == COLUMNS
    got = dict(zip(header, first, strict=True))
    assert got["source"] == "'=cmd|' /C calc'!A0.png"
    assert got["reasons"] == "one, two three" and got["defects"] == "2"
    assert got["largest_defect"] == "1 2 3 4" and got["score"] == "0.25" and got["sequence"] == "4"
    assert dict(zip(header, second, strict=True))["score"] == ""


def test_csv_with_other_columns_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("name,price\nnut,3\n")
    with pytest.raises(InputError, match="has other columns than"):
        open_sink(f"csv:{tmp_path}/a.csv", NONE)


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    sink = open_sink(f"jsonl:{path}", NONE)
    sink.deliver([message(1)])
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DeliveryError, match="No space left on device"):
        sink.deliver([message(2)])
    assert path.read_bytes() == before
    monkeypatch.undo()
    sink.deliver([message(2)])
    assert len(path.read_text().splitlines()) == 2


def test_a_real_full_device_is_a_failure_to_try_again():
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(DeliveryError, match="cannot write /dev/full"):
        open_sink("jsonl:/dev/full", NONE).deliver([message(1)])


def test_images_are_named_by_id_and_never_climb_out(tmp_path):
    values = body(1, "reject", source="../../etc/passwd %0A évil.png", sequence=1)
    files = {"picture.png": b"png", "defects.jpg": b"jpg"}
    entry = Message(1, str(values["id"]), "nut", json.dumps(values), files)
    sink = open_sink(f"images:{tmp_path / 'out'}", NONE)
    assert sink.only == {"reject", "refused"} and sink.pictures == tuple(files)
    sink.deliver([entry])
    sink.deliver([entry])
    made = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
    stem = f"out/2026-01-02/reject/passwd_0A_vil-{values['id']}"
    assert made == [f"{stem}.json", f"{stem}_defects.jpg", f"{stem}_picture.png"]
    assert (tmp_path / f"{stem}_picture.png").read_bytes() == b"png"


def test_images_into_a_place_that_cannot_be_written_are_tried_again(tmp_path):
    sink = open_sink(f"images:{tmp_path / 'out'}", NONE)
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(DeliveryError, match="cannot write"):
        sink.deliver([message(1, "reject")])


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("out.jsonl", "a sink is one of jsonl:PATH"),
        ("jsonl:", "a sink is one of"),
        ("mqt://host/topic", "unknown sink 'mqt': the nearest known names are mqtt"),
        ("mqtt://host", "mqtt is written mqtt://host:port/topic|MQTT is written"),
        ("mqtt:host/topic", "mqtt is written mqtt://host:port/topic"),
        ("mqtt://host:x/topic", "mqtt is written"),
        ("mqtt://host/a/+/b", "it has a wildcard"),
        ("mqtt://host/t#qos=0", "qos is a number from 1 to 2, got '0'"),
        ("mqtt://host/t#qs=1", "unknown option of mqtt 'qs': the nearest known names are qos"),
        ("mqtt://host/t#ca=/x", "needs TLS, write mqtts://"),
        ("mqtts://host/t#ca=/no/such/file", "cannot load the certificates"),
        ("mqtt://me:pw@host/t", "a login stands in the address of mqtt://host"),
        ("webhook:https://me:pw@host/", "a login stands in the address of https://host"),
        ("webhook:ftp://host/", "a webhook is written webhook:https://host/path"),
        ("modbus://host#acknowledge=maybe", "acknowledge is yes or no, got 'maybe'"),
        ("modbus://host#unit=0", "unit is a number from 1 to 247"),
        ("opcua://host#certificate=a.pem", "certificate= and key= go together"),
        ("opcua://host#certificate=/no/a&key=/no/b", "cannot read the certificate /no/a"),
        ("jsonl:a#only=rejects", "unknown verdict in only= of jsonl:a 'rejects'"),
        ("jsonl:a#only", "options of jsonl:a are written #name=value"),
        ("jsonl:/", "expected a file for results, got a folder"),
    ],
)
def test_addresses_that_are_wrong(text, match):
    with pytest.raises(InputError, match=match) as caught:
        open_sink(text, NONE)
    assert ":pw@" not in str(caught.value)


def test_name_leaves_options_out_and_only_is_read():
    sink = open_sink("jsonl:a.jsonl#only=reject,refused", NONE)
    assert sink.name == "jsonl:a.jsonl" and sink.only == {"reject", "refused"}


def test_images_into_a_file(tmp_path):
    (tmp_path / "f").touch()
    with pytest.raises(InputError, match="expected a folder for pictures"):
        open_sink(f"images:{tmp_path / 'f'}", NONE)


def test_secrets_come_from_the_environment_then_the_file(tmp_path):
    file = tmp_path / "secrets"
    file.write_text("# plant 1\nMQTT_PASSWORD = from=file \nDENSE_MQTT_USERNAME=me\n\n")
    file.chmod(0o600)
    secrets = Secrets(file, {"DENSE_MQTT_PASSWORD": "from environment"})
    assert secrets.find("MQTT_PASSWORD") == "from environment"
    assert secrets.find("MQTT_USERNAME") == "me"
    assert Secrets(file, {}).find("MQTT_PASSWORD") == "from=file"
    assert "from" not in repr(secrets)


def test_secrets_files_that_are_refused(tmp_path):
    file = tmp_path / "secrets"
    with pytest.raises(InputError, match="cannot read the secrets file"):
        Secrets(file, {})
    file.write_text("MQTT_PASSWORD=x\nnonsense\n")
    file.chmod(0o644)
    with pytest.raises(InputError, match=r"others may read the secrets file .* run chmod 600"):
        Secrets(file, {})
    file.chmod(0o600)
    with pytest.raises(InputError, match=r"line 2 of .* must have the form NAME=VALUE"):
        Secrets(file, {})


def test_logins_of_another_name_and_only_over_tls():
    secrets = Secrets(environment={"DENSE_LEFT_USERNAME": "me", "DENSE_LEFT_PASSWORD": "pw"})
    with pytest.raises(InputError, match="a login or an authority needs TLS"):
        open_sink("mqtt://host/t#secrets=left", secrets)
    assert open_sink("mqtts://host/t#secrets=left", secrets)._login == ("me", "pw")
    token = Secrets(environment={"DENSE_WEBHOOK_TOKEN": "t"})
    with pytest.raises(InputError, match="a token is sent over https only"):
        open_sink("webhook:http://host/", token)


def test_the_log_has_every_decision_once(tmp_path):
    registry = Registry(tmp_path / "home")
    judged = [decision(1), decision(2, "reject")]
    messages = [
        Message(
            n, one.id, "nut", json.dumps({"sequence": n, **one.to_json()}), {"picture.png": b"x"}
        )
        for n, one in enumerate(judged)
    ]
    sink = open_sink(f"log:{tmp_path / 'home'}#pictures=yes", NONE)
    sink.deliver(messages[:1])
    sink.close()
    sink.deliver(messages)
    sink.close()
    ledger = Ledger(registry.database)
    assert [one.decision for one in ledger.decisions()] == [two.to_json() for two in judged[::-1]]
    assert [entry.actor for entry in ledger.entries()] == ["watch", "watch"]
    (picture,) = set(registry.pictures)
    assert ledger.decision(judged[0].id).picture == picture
    assert registry.pictures.get(picture) == b"x" and ledger.verify().ok


def test_a_log_that_cannot_be_written_waits(tmp_path):
    (tmp_path / "home").write_bytes(b"a file")
    with pytest.raises(DeliveryError, match="cannot write into"):
        open_sink(f"log:{tmp_path / 'home'}", NONE).deliver([message(1)])
