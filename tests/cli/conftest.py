"""A command line in this process on a tiny model, and folders of made-up pictures."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from dense.backbones.recommended import Recommended
from dense.cli.main import main
from tests.helpers import photo, tiny_backbone


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def error_lines(self) -> list[str]:
        return self.err.splitlines()


Run = Callable[..., Outcome]


@pytest.fixture(scope="session")
def backbone():
    model = tiny_backbone()
    model.recommended = Recommended(memory_layers=(-1,))
    return model


@pytest.fixture
def dense(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], backbone: object
) -> Iterator[Run]:
    """Run `dense ...`; the embedded model is the tiny one, other names load as always."""
    from dense.apps import files

    real = files.load
    monkeypatch.setattr(
        files,
        "load",
        lambda name, **options: backbone if name == "embedded" else real(name, **options),
    )

    def run(*words: object) -> Outcome:
        arguments: Sequence[str] = [str(word) for word in words]
        code = main(arguments)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    yield run
    logger = logging.getLogger("dense")
    logger.handlers, logger.propagate = [], True


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """One readable photo."""
    path = tmp_path / "photo.png"
    Image.fromarray(photo(40, 56)).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three photos of different sizes and formats."""
    path = tmp_path / "pictures"
    path.mkdir()
    for place, (suffix, size) in enumerate(
        {"png": (40, 56), "jpg": (64, 32), "bmp": (33, 47)}.items()
    ):
        Image.fromarray(photo(*size, seed=place)).save(path / f"{place}.{suffix}")
    return path
