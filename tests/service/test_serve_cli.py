"""`dense serve` on the command line: what it refuses before it listens."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from dense.cli.main import build_parser, main
from dense.cli.serve import _settings
from dense.service.server import Place, bind


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "0.0.0.0"], "without HTTPS"),
        (["--tls-key", "key.pem"], "needs both"),
        (["--tls-certificate", "no.pem", "--tls-key", "no.pem"], "no such file: no.pem"),
        (["--port", "70000"], "[0, 65535]"),
        (["--workers", "0"], "[1, 64]"),
        (["--batch", "65"], "[1, 64]"),
        (["--host", "300.1.2.3", "--insecure"], "cannot listen"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--home", str(tmp_path / "home"), "--port", "0", *options]) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1


def test_a_taken_port_is_told_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = bind(Place(port=0))
    taken.listen()
    port = str(taken.getsockname()[1])
    assert main(["serve", "--home", str(tmp_path / "home"), "--port", port]) == 2
    taken.close()
    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()


def test_options_become_settings() -> None:
    words = "serve --max-upload 7 --max-pixels 3 --batch-wait 20 --max-per-key 5 --keep-pictures 2"
    arguments = build_parser().parse_args(words.split())
    settings = _settings(arguments, True)
    limits = settings.limits
    assert (limits.picture_bytes, limits.pixels, limits.per_key) == (7 << 20, 3_000_000, 5)
    assert (settings.batch_wait, settings.keep_days, settings.secure) == (0.02, 2.0, True)


def test_the_address_is_told_before_it_serves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "address.json"
    seen = []
    monkeypatch.setattr("dense.service.server.serve", lambda *_: seen.append(told.read_text()))
    home = str(tmp_path / "home")
    assert main(["serve", "--home", home, "--port", "0", "--json", str(told)]) == 0
    found = json.loads(seen[0])
    assert found["pid"] == os.getpid()
    assert f"dense serves {found['address']}\n" in capsys.readouterr().out
    assert not found["address"].endswith(":0")
