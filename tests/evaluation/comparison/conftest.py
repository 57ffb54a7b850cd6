"""Command lines that `dense compare` refuses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from dense.cli.main import main

Refused = Callable[[Path, Sequence[str]], list[str]]


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Run a comparison that ends with exit code 2 and leaves no table; the lines on stderr."""

    def run(data: Path, options: Sequence[str]) -> list[str]:
        out = tmp_path / "out"
        assert main(["compare", str(data), *options, "--out", str(out)]) == 2
        assert not list(out.glob("table.*"))
        return capsys.readouterr().err.splitlines()

    return run
