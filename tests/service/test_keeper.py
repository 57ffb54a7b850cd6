"""What a worker does on the side: old pictures go, its heart beats, drift is seen."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dense.inspection.ledger import Entry
from dense.service import keeper as module
from dense.service.core import Core
from dense.service.intake import Arrival
from dense.service.memory import give_back
from tests.inspection.products import part, record, scratched
from tests.service.made import API, Service, files, make_core, png, running

DAY = 86_400.0


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[Service]:
    """A service that keeps pictures for a day and tidies only when it is told to."""
    with running(tmp_path, keep_days=1.0) as made:
        assert made.core.warm.wait(30)
        made.core.keeper._end.set()
        made.core.keeper._thread.join(30)
        yield made


def age(core: Core, days: float) -> None:
    """Make all files of pictures older."""
    then = time.time() - days * DAY
    for name in core.registry.pictures:
        os.utime(core.registry.pictures._place(name), (then, then))


def test_old_pictures_go_and_the_log_stays_sound(idle: Service) -> None:
    core, head = idle.core, idle.head()
    old, told, young = (idle.inspect(scratched(seed)) for seed in (30, 31, 32))
    url = f"{API}/decisions/{told['id']}/feedback"
    assert idle.http.post(url, json={"kind": "right"}, headers=head).status_code == 200
    calibrated = idle.http.post(
        f"{API}/products/nut/calibrate",
        data={"alpha": "0.5"},
        files=files("good", 61, 62, 63),
        headers=head,
    )
    assert calibrated.status_code == 200
    waiting = Arrival("nut", 3, "later", png(part(9)), ".png", "line")
    job, _ = core.intake.accept(waiting, "a worker that is away")
    age(core, 2)
    core.registry.pictures.put(png(scratched(32)))  # came again today
    core.keeper._tidy()

    assert old["picture"] not in core.registry.pictures
    assert old["evidence"] not in core.registry.pictures
    assert {told["picture"], told["evidence"], young["picture"], job.sha256} <= set(
        core.registry.pictures
    )
    again = idle.http.post(f"{API}/products/nut/recalibrate", headers=head)
    assert again.status_code == 200 and again.json()["good_parts"] == 3

    shown = idle.http.get(f"{API}/decisions/{old['id']}", headers=head).json()
    assert shown == {**old, "picture": None, "evidence": None, "words": []}
    for file in ("picture", "map.png", "mask.png"):
        answer = idle.http.get(f"{API}/decisions/{old['id']}/{file}", headers=head)
        assert answer.status_code == 404 and "no longer kept" in answer.json()["error"]
    body = {"kind": "false-alarm", "use": "calibration"}
    answer = idle.http.post(f"{API}/decisions/{old['id']}/feedback", json=body, headers=head)
    assert answer.status_code == 404 and "no longer kept" in answer.json()["error"]
    assert core.ledger.verify().ok
    assert core.ledger.decision(old["id"]).picture == old["picture"]  # what it was stays known


def test_without_a_limit_nothing_goes(idle: Service) -> None:
    decision = idle.inspect(part(1))
    age(idle.core, 3650)
    idle.core.keeper.keep_days = None
    idle.core.keeper._tidy()
    assert decision["picture"] in idle.core.registry.pictures


def test_a_picture_that_was_changed_on_the_disk_is_not_shown(idle: Service) -> None:
    decision = idle.inspect(part(2))
    idle.core.registry.pictures._place(decision["picture"]).write_bytes(png(part(3)))
    answer = idle.http.get(f"{API}/decisions/{decision['id']}/picture", headers=idle.head())
    assert answer.status_code == 404 and "hash that the log names" in answer.json()["error"]
    assert str(idle.core.registry.home) not in answer.text


def test_a_chore_that_fails_does_not_stop_the_heart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core, beats = make_core(tmp_path), threading.Semaphore(0)

    def broken() -> None:
        raise RuntimeError("a folder that may not be read")

    monkeypatch.setattr(module, "BEAT", 0.0)
    monkeypatch.setattr(core.judging, "take_more", broken)
    monkeypatch.setattr(core.keeper.pulse, "beat", beats.release)
    core.keeper.start()
    assert all(beats.acquire(timeout=30) for _ in range(3))
    core.keeper.end()


def test_drift_is_looked_for_and_told(
    idle: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    body = '{"text":"Evidence for drift reached 300"}'
    alarm = Entry(1, "", "drift", "nut", "dense", body, "0" * 64, "0" * 64)
    monkeypatch.setattr(idle.core.keeper.watch, "look", lambda: [alarm])
    monkeypatch.setattr(module._LOG.parent, "propagate", True)
    idle.core.keeper._watch()
    assert "drift of nut: Evidence for drift reached 300" in caplog.text


def test_a_product_whose_model_is_lost_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core, loaded = make_core(tmp_path), list[str]()
    for name, model in (("bolt", "lost.pt"), ("nut", "embedded")):
        core.registry.create(replace(record(name), model=model), "created")

    def load(model: str, *_: object) -> None:
        loaded.append(model)
        if model == "lost.pt":
            raise FileNotFoundError(model)

    monkeypatch.setattr(core.workshop.fitting, "backbone", load)
    core.start()
    assert core.warm.wait(30) and loaded == ["lost.pt", "embedded"]
    core.end()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_free_memory_goes_back_to_the_system() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    held = [np.ones(100_000, np.uint8) for _ in range(2000)]  # too small for pages of their own
    pinned = held[::100]
    held.clear()
    before = resident()
    give_back()
    assert before - resident() > 100e6 and len(pinned) == 20
