"""Batches: finished parts are never done again, and all engines say the same."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest

from dense.errors import InputError, MissingDependencyError
from dense.inspection.batch import Store, engines, open_plan, run_batch
from tests.inspection.line import StubJudge, save_part


class Counting(StubJudge):
    """Counts over all its instances; breaks down after some pictures, or on a picture."""

    seen: ClassVar[list[str]] = []
    after: ClassVar[int | None] = None

    def judge(self, image, source, content_sha256):
        if self.after is not None and len(self.seen) >= self.after:
            raise KeyboardInterrupt
        self.seen.append(source)
        return super().judge(image, source, content_sha256)


@pytest.fixture
def counting():
    return type("C", (Counting,), {"seen": []})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """20 pictures in two folders, every fourth a reject."""
    for number in range(20):
        name = f"{number % 2}/part {number:02d}.png"
        save_part(tmp_path / "in" / name, 250 if number % 4 == 0 else 10, seed=number)
    return tmp_path / "in"


def results(out: Path) -> list[dict]:
    """All decisions, without what differs from run to run."""
    rows = []
    for path in sorted(out.glob("part-*.jsonl")):
        rows += [json.loads(line) for line in path.read_text().splitlines()]
    return [{**row, "seconds": 0, "judged_at": ""} for row in rows]


def run(folder: Path, out: Path, judge=StubJudge, **options):
    options = {"engine": "local", "part_size": 6, "batch": 4, **options}
    return run_batch(judge, str(folder), str(out), **options)


def test_decides_every_picture_in_order(folder, tmp_path):
    summary = run(folder, tmp_path / "out")
    assert summary["decided"] == {"pass": 15, "reject": 5, "refused": 0}
    assert summary["files"] == summary["files_now"] == 20 and summary["parts"] == 4
    assert summary["files_per_second"] > 0 and not summary["resumed"]
    rows = results(tmp_path / "out")
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    assert [row["source"] for row in rows] == names
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == summary


def test_interrupted_goes_on_with_what_is_not_finished(folder, tmp_path, counting):
    counting.after = 14
    with pytest.raises(KeyboardInterrupt):
        run(folder, tmp_path / "out", counting)
    finished = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("part-*")}
    assert len([name for name in finished if name.endswith(".done.json")]) == 2
    counting.after, counting.seen[:] = None, []
    summary = run(folder, tmp_path / "out", counting)
    assert summary["resumed"] and summary["files_now"] == 8 and len(counting.seen) == 8
    assert summary["decided"] == {"pass": 15, "reject": 5, "refused": 0}
    for name, time in finished.items():
        assert (tmp_path / "out" / name).stat().st_mtime_ns == time
    run(folder, tmp_path / "other")
    assert results(tmp_path / "out") == results(tmp_path / "other")


def test_killed_between_results_and_receipt_does_the_part_again(folder, tmp_path, counting):
    run(folder, tmp_path / "out")
    (tmp_path / "out" / "part-000002.done.json").unlink()
    summary = run(folder, tmp_path / "out", counting)
    assert len(counting.seen) == 6 and summary["decided"]["pass"] == 15


def test_a_batch_goes_on_with_its_own_files_only(folder, tmp_path, counting):
    run(folder, tmp_path / "out")
    save_part(folder / "0" / "new.png", 10, seed=99)
    assert run(folder, tmp_path / "out", counting)["files"] == 20 and counting.seen == []


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_hostile_and_missing_files_are_told_and_the_rest_goes_on(
    folder, tmp_path, engine, monkeypatch, caplog
):
    if engine == "ray":
        pytest.importorskip("ray.data", reason="ray is not installed")
    whole = (folder / "1" / "part 01.png").read_bytes()
    (folder / "0" / "cut.png").write_bytes(whole[:100])
    (folder / "0" / "both.png").write_bytes(whole + b"<?php ?>")
    (folder / "0" / "gone.png").write_bytes(whole)
    (folder / "out.png").symlink_to(save_part(tmp_path / "secret.png", 10))
    open_plan(Store(str(tmp_path / "out")), str(folder), "nut", 3, part_size=12)
    (folder / "0" / "gone.png").unlink()
    summary = run(folder, tmp_path / "out", engine=engine, workers=1)
    assert summary["engine"] == engine
    assert summary["decided"] == {"pass": 15, "reject": 5, "refused": 2}
    assert summary["missing"] == ["0/gone.png: No such file or directory"]
    rows = {row["source"]: row for row in results(tmp_path / "out")}
    assert "cannot read 0/cut.png" in rows["0/cut.png"]["reasons"][0]["text"]
    assert "a picture and a PHP script" in rows["0/both.png"]["reasons"][0]["text"]
    assert "out.png is a link out of the folder" in caplog.text and "out.png" not in rows
    run(folder, tmp_path / "plain", part_size=12)
    assert sorted(rows) == sorted(row["source"] for row in results(tmp_path / "plain"))
    if engine == "ray":
        assert list(rows.values()) == results(tmp_path / "plain")
        import ray

        ray.shutdown()


def test_a_picture_that_breaks_a_batch_is_found(folder, tmp_path):
    class Odd(StubJudge):
        def judge(self, image, source, content_sha256):
            if source.endswith("07.png"):
                raise RuntimeError("odd picture")
            return super().judge(image, source, content_sha256)

    assert run(folder, tmp_path / "out", Odd)["decided"]["refused"] == 1
    rows = {row["source"]: row["verdict"] for row in results(tmp_path / "out")}
    assert rows["1/part 07.png"] == "refused" and rows["1/part 05.png"] == "pass"


def test_addresses_of_fsspec(folder, tmp_path):
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    for path in folder.rglob("*.png"):
        memory.pipe_file(f"/plant/{path.relative_to(folder)}", path.read_bytes())
    summary = run("memory://plant", "memory://results")
    assert summary["decided"] == {"pass": 15, "reject": 5, "refused": 0}
    assert run("memory://plant", "memory://results")["files_now"] == 0
    run(folder, tmp_path / "out")
    lines = memory.cat_file("/results/part-000003.jsonl").decode().splitlines()
    rows = [{**json.loads(line), "seconds": 0, "judged_at": ""} for line in lines]
    assert rows == results(tmp_path / "out")[18:]


def test_progress_is_told_part_by_part(folder, tmp_path):
    told = []

    def track(receipts, count):
        for receipt in receipts:
            told.append((receipt["part"], receipt["files"], count))
            yield receipt

    run(folder, tmp_path / "out", track=track)
    assert told == [(0, 6, 4), (1, 6, 4), (2, 6, 4), (3, 2, 4)]


def test_results_of_something_else_are_refused(folder, tmp_path):
    out = tmp_path / "out"
    run(folder, out)
    with pytest.raises(InputError, match="holds results of the version 3, not 4"):
        run(folder, out, partial(StubJudge, version=4))
    with pytest.raises(InputError, match="holds results of the product 'nut', not 'bolt'"):
        run(folder, out, partial(StubJudge, "bolt"))
    with pytest.raises(InputError, match="holds results of the source"):
        run(folder / "0", out)
    (out / "files.txt.gz").write_bytes(b"broken")
    with pytest.raises(InputError, match="is damaged"):
        run(folder, out)
    (out / "plan.json").unlink()
    with pytest.raises(InputError, match="has results without their plan"):
        run(folder, out)


@pytest.mark.parametrize(
    ("source", "options", "match"),
    [
        ("none", {}, "no such folder"),
        ("", {"part_size": 0}, "a part has at least one file, got 0"),
        ("", {"batch": 0}, "are from 1"),
        ("", {"engine": "spark"}, "unknown engine 'spark'"),
        ("nothing://a", {}, "cannot open nothing://a"),
    ],
)
def test_options_that_are_wrong(folder, tmp_path, source, options, match):
    place = source if "://" in source else folder / source
    with pytest.raises(InputError, match=match):
        run(place, tmp_path / "out", **options)


def test_an_empty_folder(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match="no pictures in"):
        run(tmp_path / "in", tmp_path / "out")


def test_without_ray(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(engines.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'dense-clip\[batch\]'"):
        run(folder, tmp_path / "out", engine="ray")
    assert run(folder, tmp_path / "out", engine="auto")["engine"] == "local"


def test_ray_is_not_imported_for_the_local_engine(folder, tmp_path):
    before = "ray" in sys.modules
    run(folder, tmp_path / "out")
    assert ("ray" in sys.modules) == before
