"""The feature cache: rows are read as written, interrupted builds go on, other forms refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dense.errors import InputError
from dense.training.cache import FeatureCache, Field, content_key

FIELDS = {"a": Field((2,), "fp32"), "b": Field((3,), "bf16"), "n": Field((), "fp16")}


def rows(begin: int, end: int) -> dict[str, torch.Tensor]:
    number = torch.arange(begin, end, dtype=torch.float32)
    return {"a": number[:, None].repeat(1, 2), "b": number[:, None].repeat(1, 3), "n": number}


def test_reads_what_was_written(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "c", 5, FIELDS).fill(rows, batch=2)
    assert cache.complete
    again = FeatureCache(tmp_path / "c", 5, FIELDS)
    assert again.complete
    assert again.read(4, "a").tolist() == [4.0, 4.0]
    assert again.read(3, "b").tolist() == [3.0, 3.0, 3.0]
    assert float(again.read(2, "n")) == 2.0


def test_interrupted_build_goes_on(tmp_path: Path) -> None:
    asked: list[int] = []

    def fails_at_four(begin: int, end: int) -> dict[str, torch.Tensor]:
        asked.append(begin)
        if begin >= 4:
            raise KeyboardInterrupt
        return rows(begin, end)

    cache = FeatureCache(tmp_path, 7, FIELDS)
    with pytest.raises(KeyboardInterrupt):
        cache.fill(fails_at_four, batch=2, every=1)
    assert cache.done == 4 and not cache.complete
    asked.clear()
    second = FeatureCache(tmp_path, 7, FIELDS)
    second.fill(lambda b, e: asked.append(b) or rows(b, e), batch=2, every=1)  # type: ignore[func-returns-value]
    assert asked == [4, 6]
    assert [float(second.read(i, "n")) for i in range(7)] == list(range(7))


def test_uncommitted_rows_do_not_count(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, 4, FIELDS)
    cache.write(0, rows(0, 4))
    assert FeatureCache(tmp_path, 4, FIELDS).done == 0
    cache.commit(4)
    assert FeatureCache(tmp_path, 4, FIELDS).done == 4


def test_a_lost_array_starts_again(tmp_path: Path) -> None:
    FeatureCache(tmp_path, 4, FIELDS).fill(rows, batch=4)
    (tmp_path / "b.bin").unlink()
    assert FeatureCache(tmp_path, 4, FIELDS).done == 0


def test_refusals(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "c", 4, FIELDS)
    with pytest.raises(InputError, match="another form"):
        FeatureCache(tmp_path / "c", 5, FIELDS)
    with pytest.raises(InputError, match=r"rows of shape \(3,\), got \(1, 2\)"):
        cache.write(0, {**rows(0, 1), "b": torch.zeros(1, 2)})
    with pytest.raises(InputError, match="got None"):
        cache.write(0, {"a": torch.zeros(1, 2)})
    with pytest.raises(InputError, match="rows 0 to 3, not 4"):
        cache.read(4, "a")
    with pytest.raises(InputError, match="cache dtype"):
        Field((1,), "int8")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot keep features"):
        FeatureCache(tmp_path / "file", 4, FIELDS)


def test_key_depends_on_content_and_borders() -> None:
    assert content_key("a", ["b"]) == content_key("a", ["b"])
    keys = {content_key("ab"), content_key("a", "b"), content_key(["a", "b"]), content_key(b"a")}
    assert len(keys) == 4
