"""Files of weights from others: what is read, and how the rest is refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dense.errors import InputError
from dense.untrusted import check_fit, read_safetensors, read_torch, state_dict


def test_tensors_and_plain_values_come_back(tmp_path: Path) -> None:
    torch.save({"w": torch.arange(3), "steps": 5}, tmp_path / "a.pt")
    content = read_torch(tmp_path / "a.pt")
    assert isinstance(content, dict) and content["steps"] == 5
    assert content["w"].tolist() == [0, 1, 2]
    save_file({"w": torch.ones(2)}, tmp_path / "a.safetensors", {"by": "us"})
    tensors, notes = read_safetensors(tmp_path / "a.safetensors")
    assert tensors["w"].tolist() == [1, 1] and notes == {"by": "us"}


def test_code_is_refused_and_not_run(tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (tmp_path / "ran",)

    torch.save({"w": Payload()}, tmp_path / "a.pt")
    with pytest.raises(InputError, match=r"refused .*a\.pt.*could run code"):
        read_torch(tmp_path / "a.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "content", [b"", b"some notes", b"PK\x03\x04 cut short", pickle.dumps({"a": 1})]
)
def test_what_torch_did_not_write(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(InputError, match=r"corrupt checkpoint .*not a file that torch.save wrote"):
        read_torch(tmp_path / "a.pt")


def test_missing_and_broken_files(tmp_path: Path) -> None:
    for read in (read_torch, read_safetensors):
        with pytest.raises(InputError, match="no such checkpoint"):
            read(tmp_path / "gone")
    (tmp_path / "a.safetensors").write_bytes(b"some notes")
    with pytest.raises(InputError, match="corrupt safetensors file"):
        read_safetensors(tmp_path / "a.safetensors")
    for content in ([1], {"w": 1}):
        with pytest.raises(InputError, match="not a state dict"):
            state_dict(content, "a.pt")


def test_weights_fit_exactly_or_the_difference_is_named() -> None:
    own = {"a": torch.zeros(2), "b": torch.zeros(3)}
    check_fit(own, {"a": torch.ones(2), "b": torch.ones(3)}, "x does not fit", "load y")
    with pytest.raises(
        InputError,
        match=r"x does not fit: 1 tensors missing \['a'\], 1 unknown \['c'\], 1 of another shape "
        r"\['b \(2,\) for \(3,\)'\]; load y",
    ):
        check_fit(own, {"b": torch.ones(2), "c": torch.ones(1)}, "x does not fit", "load y")
