"""Speed and memory of this machine as ratios: `dense benchmark`.

A ratio of two times comes from alternating pairs (ours, peer, ours, peer, ...) in one process and
is the median of the pairs' ratios, so that a machine busy with other things still tells the truth.
Weights are random: no hub is needed, and times do not depend on them.
"""

from __future__ import annotations

import importlib.util
import statistics
import subprocess  # nosec B404  # own interpreter, fixed arguments
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from dense.errors import unknown_name

WINDOW_MODEL = "ViT-B-16-plus-240"
DENSE_MODEL = "ViT-B-16"
QUICK_MODEL = {
    "embed_dim": 128,
    "vision_cfg": {"layers": 3, "width": 256, "patch_size": 16, "image_size": 112},
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 64,
        "heads": 1,
        "layers": 1,
    },
}
"""Stands in for both models with `quick`: the code runs, the numbers mean little."""


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        name: What was measured.
        ours: Our value in words, with its unit.
        peer: What it is held against.
        ratio: Ours over the peer's, or the value over its bound; ``None`` if not measured.
        bar: Largest `ratio` that passes; ``None`` if there is no bar.
        note: What a reader must know.
    """

    name: str
    ours: str
    peer: str
    ratio: float | None
    bar: float | None
    note: str = ""

    @property
    def passed(self) -> bool | None:
        """Whether the ratio is within the bar; ``None`` without either."""
        if self.ratio is None or self.bar is None:
            return None
        return self.ratio <= self.bar


@dataclass(frozen=True)
class Pairs:
    """Seconds of alternating calls."""

    ours: tuple[float, ...]
    peer: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Median over pairs of ours / peer."""
        return statistics.median(a / b for a, b in zip(self.ours, self.peer, strict=True))


def time_pairs(ours: Callable[[], object], peer: Callable[[], object], repeats: int) -> Pairs:
    """Time two calls in turns, after one unmeasured call of each."""
    ours()
    peer()
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for call, kept in zip((ours, peer), seconds, strict=True):
            begin = time.perf_counter()
            call()
            kept.append(time.perf_counter() - begin)
    return Pairs(tuple(seconds[0]), tuple(seconds[1]))


def pair_row(name: str, pairs: Pairs, bar: float | None, note: str = "") -> Row:
    """A row of two times."""
    ours, peer = statistics.median(pairs.ours), statistics.median(pairs.peer)
    return Row(name, format_seconds(ours), format_seconds(peer), pairs.ratio, bar, note)


def format_seconds(value: float) -> str:
    """A time in the unit that suits it."""
    return f"{value:.2f} s" if value >= 1 else f"{1000 * value:.1f} ms"


def run(*, quick: bool = False, only: Sequence[str] | None = None) -> list[Row]:
    """Measure.

    Args:
        quick: Fewer repetitions of a small model.
        only: Names of `SECTIONS` to run; all if ``None``.

    Raises:
        InputError: If a name in `only` is unknown.
    """
    chosen = list(SECTIONS) if only is None else list(only)
    for name in chosen:
        if name not in SECTIONS:
            raise unknown_name("benchmark", name, SECTIONS)
    return [row for name in chosen for row in SECTIONS[name](quick)]


def format_table(rows: Iterable[Row]) -> str:
    """Plain-text table of the rows."""
    head = ("measurement", "ours", "against", "ratio", "bar", "", "note")
    cells = [head]
    verdict = {True: "ok", False: "MISSED", None: ""}
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.3f}"
        bar = "" if row.bar is None else f"{row.bar:.3f}"
        cells.append((row.name, row.ours, row.peer, ratio, bar, verdict[row.passed], row.note))
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in cells]
    return "\n".join(line.rstrip() for line in lines)


def as_records(rows: Iterable[Row]) -> list[dict[str, object]]:
    """Rows as plain values, for JSON."""
    return [{**asdict(row), "passed": row.passed} for row in rows]


def _forward(quick: bool) -> list[Row]:
    from dense.benchmark.models import measure_forward

    return measure_forward(quick)


def _windows(quick: bool) -> list[Row]:
    from dense.benchmark.windows import measure_windows

    return measure_windows(quick)


def _linear(quick: bool) -> list[Row]:
    from dense.benchmark.models import measure_linear

    return measure_linear(quick)


def _regions(quick: bool) -> list[Row]:
    from dense.benchmark.regions import measure_regions

    return measure_regions(quick)


def _looking(quick: bool) -> list[Row]:
    from dense.benchmark.looking import measure_looking

    return measure_looking(quick)


def _start_up(quick: bool) -> list[Row]:
    """`dense --help`, the whole process."""
    times = []
    for _ in range(2 if quick else 5):
        begin = time.perf_counter()
        command = [
            sys.executable,
            "-c",
            "import sys; from dense.cli.main import main; sys.exit(main())",
        ]
        command.append("--help")
        subprocess.run(command, check=True, capture_output=True)  # nosec B603  # own interpreter, fixed arguments
        times.append(time.perf_counter() - begin)
    seconds = statistics.median(times)
    return [Row("dense --help", format_seconds(seconds), "0.70 s", seconds / 0.7, 1.0, "start-up")]


_MEMORY = """
import sys
from dense.benchmark import peak_memory
from dense.benchmark.models import segment_large
base = peak_memory()
segment_large(int(sys.argv[1]), sys.argv[2] == "quick")
print(base, peak_memory())
"""


def peak_memory() -> int:
    """Largest resident memory of this process so far, in bytes.

    Linux hands `ru_maxrss` down from the parent process, so its own counter is preferred there.
    """
    import resource

    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _memory(quick: bool) -> list[Row]:
    """Peak resident memory of a large picture through sliding windows, in a process of its own."""
    side = 1024 if quick else 4096
    command = [sys.executable, "-c", _MEMORY, str(side), "quick" if quick else "full"]
    done = subprocess.run(  # nosec B603  # own interpreter, fixed arguments
        command, check=True, capture_output=True, text=True
    )
    base, peak = (int(value) / 2**30 for value in done.stdout.split()[-2:])
    note = f"libraries alone {base:.2f} GiB; {DENSE_MODEL} with weights, 21 classes"
    name = f"memory of a {side} x {side} picture"
    return [Row(name, f"{peak:.2f} GiB", "2.00 GiB", peak / 2, 1.0, note)]


def _line(quick: bool) -> list[Row]:
    from dense.benchmark.line import measure_line

    return measure_line(quick)


def _service(quick: bool) -> list[Row]:
    if importlib.util.find_spec("fastapi") is None:
        return [Row("service", "", "", None, None, "the extra 'service' is not installed")]
    from dense.benchmark.service import measure_service

    return measure_service(quick)


SECTIONS: dict[str, Callable[[bool], list[Row]]] = {
    "forward": _forward,
    "windows": _windows,
    "linear": _linear,
    "regions": _regions,
    "looking": _looking,
    "start-up": _start_up,
    "memory": _memory,
    "line": _line,
    "service": _service,
}
