"""The whole watch with a judge without a model."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from dense.errors import InputError
from dense.images import write_image
from dense.inspection.backoff import Backoff
from dense.inspection.outbox import Journal, Limits
from dense.inspection.secrets import Secrets
from dense.inspection.sinks import open_sink
from dense.inspection.sources import CameraSource, FolderSource, Picture
from dense.inspection.watch import Watch
from dense.inspection.workshop import Order
from tests.inspection.line import ListSink, StubJudge, after, save_part
from tests.inspection.products import good, part, scratched, workshop

ROOT = Path(__file__).parents[2]
SOAK = [sys.executable, str(ROOT / "tools" / "soak_watch.py")]

NONE = Secrets(environment={})


def quick() -> Backoff:
    return Backoff(first=0.02, longest=0.1)


def run_once(folder: Path, state: Path, sinks: list, judge: object = None, **options: object):
    """Decide what is in a folder; returns the summary."""
    journal = Journal(state, limits=options.pop("limits", None))
    source = FolderSource(folder, journal, once=True, settle=0.0, patience=0.1, poll=0.02)
    try:
        watch = Watch(judge or StubJudge(), source, journal, sinks, backoff=quick, **options)
        return watch.run(threading.Event())
    finally:
        journal.close()


def test_folder_to_files(tmp_path):
    folder = tmp_path / "parts"
    good = save_part(folder / "good.png", 10)
    save_part(folder / "bad.png", 250, seed=1)
    (folder / "broken.png").write_bytes(good.read_bytes()[:99])
    sinks = [f"jsonl:{tmp_path}/a.jsonl", f"images:{tmp_path}/pictures", f"csv:{tmp_path}/a.csv"]
    summary = run_once(folder, tmp_path / "state", [open_sink(text, NONE) for text in sinks])
    assert summary["decided"] == {"pass": 1, "reject": 1, "refused": 1}
    assert summary["delivered"] == {sinks[0]: 3, sinks[1]: 2, sinks[2]: 3}
    assert summary["waiting"] == {} and summary["set_aside"] == {}
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    by_name = {row["source"]: row for row in rows}
    assert by_name["bad.png"]["verdict"] == "reject"
    assert "cannot read broken.png" in by_name["broken.png"]["reasons"][0]["text"]
    (picture,) = (tmp_path / "pictures").rglob("bad-*_picture.png")
    assert np.array_equal(cv2.imread(str(picture)), cv2.imread(str(folder / "bad.png")))
    (drawn,) = (tmp_path / "pictures").rglob("bad-*_defects.jpg")
    assert cv2.imread(str(drawn)).shape == (12, 16, 3)
    refused = list((tmp_path / "pictures").rglob("refused/broken-*"))
    assert [path.suffix for path in refused] == [".json"]


def test_again_decides_nothing_and_a_dead_sink_gets_its_results_later(tmp_path):
    folder = tmp_path / "parts"
    for number in range(3):
        save_part(folder / f"{number}.png", 10, seed=number)
    dead, good = ListSink("dead", failures=10**6), ListSink("good")
    summary = run_once(folder, tmp_path / "state", [dead, good], drain=0.3)
    assert summary["delivered"] == {"dead": 0, "good": 3} and summary["waiting"] == {"dead": 3}
    back, judge = ListSink("dead"), StubJudge()
    summary = run_once(folder, tmp_path / "state", [back, good], judge)
    assert judge.judged == [] and summary["decided"] == {"pass": 0, "reject": 0, "refused": 0}
    assert [m.id for m in back.taken] == [m.id for m in good.taken]


def test_a_full_outbox_blocks_the_source_and_drops_nothing(tmp_path):
    folder = tmp_path / "parts"
    for number in range(6):
        save_part(folder / f"{number}.png", 10, seed=number)
    sink = ListSink("slow", failures=4)
    summary = run_once(folder, tmp_path / "state", [sink], limits=Limits(pending=2))
    assert len(sink.taken) == 6 and summary["seconds_blocked"] > 0


def test_only_some_verdicts(tmp_path):
    save_part(tmp_path / "parts" / "good.png", 10)
    save_part(tmp_path / "parts" / "bad.png", 250)
    sink = ListSink("rejects")
    sink.only = frozenset({"reject"})
    run_once(tmp_path / "parts", tmp_path / "state", [sink])
    assert [entry.body["source"] for entry in sink.taken] == ["bad.png"]


class Failing(StubJudge):
    """Fails on the pictures named."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = names

    def judge(self, image, source, content_sha256):
        if source in self.names:
            raise RuntimeError("odd picture")
        return super().judge(image, source, content_sha256)


def test_a_picture_that_breaks_the_judge_is_refused_and_the_line_goes_on(tmp_path, caplog):
    for number in range(4):
        path = save_part(tmp_path / "parts" / f"{number}.png", 10, seed=number)
        os.utime(path, (number, number))
    sink = ListSink()
    run_once(tmp_path / "parts", tmp_path / "state", [sink], Failing("1.png"))
    assert [m.body["verdict"] for m in sink.taken] == ["pass", "refused", "pass", "pass"]
    assert "1.png: judging failed: RuntimeError: odd picture" in caplog.text


def test_a_judge_that_always_fails_ends_the_watch(tmp_path):
    names = [f"{number}.png" for number in range(6)]
    for number, name in enumerate(names):
        save_part(tmp_path / "parts" / name, 10, seed=number)
    with pytest.raises(RuntimeError, match="odd picture"):
        run_once(tmp_path / "parts", tmp_path / "state", [ListSink()], Failing(*names))


def test_the_same_sink_twice_is_refused(tmp_path):
    (tmp_path / "parts").mkdir()
    with pytest.raises(InputError, match="the sink list is given 2 times"):
        run_once(tmp_path / "parts", tmp_path / "state", [ListSink(), ListSink()])


def test_results_for_a_sink_that_is_not_named_any_more_are_told(tmp_path, caplog):
    save_part(tmp_path / "parts" / "a.png", 10)
    run_once(tmp_path / "parts", tmp_path / "state", [ListSink("old", failures=99)], drain=0.1)
    run_once(tmp_path / "parts", tmp_path / "state", [ListSink("new")])
    assert "1 results wait for old, which is not among the sinks" in caplog.text


def test_stopped_while_the_outbox_is_full_keeps_the_picture_in_hand(tmp_path):
    """A camera will not show it again."""
    journal = Journal(tmp_path / "state", limits=Limits(pending=1))
    image = np.full((12, 16, 3), 10, np.uint8)

    class Two:
        name = "two"

        def pictures(self, stop):
            for number in range(2):
                yield Picture(f"p{number}", f"{number}" * 64, image)

        def counts(self):
            return {}

    stop = threading.Event()
    after(0.3, stop.set)
    sink = ListSink("dead", failures=10**6)
    Watch(StubJudge(), Two(), journal, [sink], drain=0.1, backoff=quick).run(stop)
    assert [json.loads(m.text)["source"] for m in journal.pending("dead", 9)] == ["p0", "p1"]
    journal.close()


def test_a_locked_journal_delays_and_loses_nothing(tmp_path):
    for number in range(4):
        save_part(tmp_path / "parts" / f"{number}.png", 10, seed=number)
    run_once(tmp_path / "parts", tmp_path / "state", [ListSink()])
    save_part(tmp_path / "parts" / "late.png", 10, seed=9)
    other = sqlite3.connect(tmp_path / "state" / "journal.sqlite", check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    after(2.5, other.rollback)
    sink = ListSink()
    run_once(tmp_path / "parts", tmp_path / "state", [sink])
    other.close()
    assert [entry.body["source"] for entry in sink.taken] == ["late.png"]


def test_a_camera_that_is_unplugged_between_parts(tmp_path):
    scripts = [[20, 250], InputError("gone"), [30]]

    class Camera:
        def __init__(self, script):
            self.script = list(script)

        def read(self):
            time.sleep(0.02)
            level = self.script.pop(0) if self.script else None
            return None if level is None else np.full((12, 16, 3), level, np.uint8)

        def close(self):
            pass

    def plug():
        script = scripts.pop(0) if scripts else InputError("gone")
        if isinstance(script, Exception):
            raise script
        return Camera(script)

    journal, stop, sink = Journal(tmp_path / "state"), threading.Event(), ListSink()
    source = CameraSource("c", plug, buffer=8, backoff=quick())
    seen: Counter[str] = Counter()

    def count(decision, _):
        seen[decision.verdict] += 1
        if seen.total() == 3:
            stop.set()

    Watch(StubJudge(), source, journal, [sink], on_decision=count).run(stop)
    journal.close()
    assert [entry.body["verdict"] for entry in sink.taken] == ["pass", "reject", "pass"]
    assert len({entry.id for entry in sink.taken}) == 3


def test_killed_again_and_again_loses_nothing(tmp_path):
    """SIGKILL at random moments; the tool checks that all is decided once and delivered."""
    report = tmp_path / "report.json"
    options = ["--files", "60", "--kills", "3", "--sink", "jsonl", "--seed", "1"]
    options += ["--work", str(tmp_path / "work"), "--json", str(report)]
    done = subprocess.run([*SOAK, *options], capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    content = json.loads(report.read_text())
    assert content["kills"] == 3 and content["files"] == content["decided"] == 60
    assert content["lost"] == content["decided_twice"] == content["unknown_ids"] == 0
    assert content["delivered"]["jsonl"]["distinct"] == 60


def test_sigterm_ends_in_good_order(tmp_path):
    (tmp_path / "parts").mkdir()
    command = [*SOAK, "--child", "--work", str(tmp_path), "--sink", "jsonl"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    save_part(tmp_path / "parts" / "a.png", 10)
    lines = tmp_path / "results.jsonl"
    deadline = time.monotonic() + 30
    while not (lines.exists() and lines.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert json.loads(out)["decided"]["pass"] == 1


def test_a_product_on_a_model_from_folder_to_lines(tmp_path):
    """Nothing between the registry and the sink is made up here but the model's weights."""
    shop = workshop(tmp_path / "home")
    shop.create(Order("nut"), good(1, 2, 3, 4))
    shop.calibrate("nut", alpha=0.1, good=good(*range(10, 22)))
    folder = tmp_path / "parts"
    folder.mkdir()
    for name, image in {"fine.png": part(50), "scratch.png": scratched(51)}.items():
        write_image(folder / name, image)
    sinks = [f"jsonl:{tmp_path}/a.jsonl", f"images:{tmp_path}/pictures"]
    opened = [open_sink(text, NONE) for text in sinks]
    summary = run_once(folder, tmp_path / "state", opened, shop.judge("nut"))
    assert summary["decided"] == {"pass": 1, "reject": 1, "refused": 0}
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    bad = next(row for row in rows if row["source"] == "scratch.png")
    assert bad["verdict"] == "reject" and bad["guarantee"]["alpha"] == 0.1 and bad["defects"]
    assert len(list((tmp_path / "pictures").rglob("scratch-*"))) == 3
