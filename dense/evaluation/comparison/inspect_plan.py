"""What a comparison of inspection methods is made of: the settings and the list of its cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dense.datasets.anomaly import AUTO, AnomalyFolder
from dense.errors import InputError, unknown_name
from dense.evaluation.comparison.cells import name_roots
from dense.methods.catalog import find_method, methods
from dense.methods.method import Method, needs_weights, refuse_weights
from dense.metrics.anomaly import NATIVE


@dataclass(frozen=True)
class Setup:
    """What is compared, and how.

    Attributes:
        roots: Data sets in any layout of `dense.datasets.AnomalyFolder`.
        methods: Names of the catalogue; all that need no learned parts, or were given them, if
            empty.
        shots: Numbers of support pictures; 0 is zero-shot.
        seeds: Support choices; methods without support run once.
        categories: Only these, of every root; all if empty.
        products: Words by category, where the category's own name is not what it shows.
        weights: File of the learned parts by method.
        layout: As `AnomalyFolder`, for all roots.
        limit: Test pictures of a category at most, see `CategoryData`.
        bins: ``None`` for exact pixel metrics, see `dense.metrics.PixelScores`.
        sizes: Sides at which pixels are scored, 0 for native.
        small_defects: Also score the smallest third of each category's defects apart.
        batch_size: Images that run at once.
        pictures: Keep the most telling pictures of each category and method.
    """

    roots: Sequence[Path]
    methods: Sequence[str] = ()
    shots: Sequence[int] = (0, 1, 2, 4)
    seeds: Sequence[int] = (0, 1, 2)
    categories: Sequence[str] = ()
    products: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, Path] = field(default_factory=dict)
    layout: str = AUTO
    limit: int | None = None
    bins: int | None = 2**22
    sizes: Sequence[int] = (NATIVE,)
    small_defects: bool = False
    batch_size: int = 8
    pictures: bool = True

    def chosen(self) -> list[Method]:
        """Rows of the catalogue.

        Raises:
            InputError: If a name is unknown.
        """
        if self.methods:
            return [find_method(name, "inspect") for name in dict.fromkeys(self.methods)]
        return [m for m in methods("inspect") if not m.trained or m.name in self.weights]

    def words(self, category: str) -> str:
        """What a category shows."""
        return self.products.get(category) or category.replace("_", " ")


@dataclass(frozen=True)
class Cell:
    """One run: a method with its support on a category."""

    data: str
    root: Path
    category: str
    method: Method
    shots: int
    seed: int

    def __str__(self) -> str:
        seed = f", seed {self.seed}" if self.shots else ""
        return f"{self.data}/{self.category}, {self.method.name}, {self.shots}-shot{seed}"

    def names(self) -> dict[str, str | int]:
        """What identifies the cell in a table."""
        return {
            "data": self.data,
            "category": self.category,
            "method": self.method.name,
            "shots": self.shots,
            "seed": self.seed,
        }


def plan(setup: Setup) -> tuple[list[Cell], list[str]]:
    """List the cells, category by category, and what is left out and why.

    Raises:
        InputError: If there is nothing to run, or a method, category or number is wrong.
    """
    if not setup.shots or min(setup.shots) < 0:
        raise InputError(f"shots must be 0 or more, got {list(setup.shots)}")
    if not setup.seeds or min(setup.seeds) < 0:
        raise InputError(f"seeds must be 0 or more, at least one, got {list(setup.seeds)}")
    if setup.batch_size < 1:
        raise InputError(f"batch_size must be 1 or more, got {setup.batch_size}")
    _check_weights(setup)
    runs, left_out = _runs(setup)
    cells = [
        Cell(data, root, category, *run)
        for data, root, categories in _places(setup)
        for category in categories
        for run in runs
    ]
    if not cells:
        raise InputError("nothing to compare: " + "; ".join(left_out or ["no category is left"]))
    return cells, left_out


def _runs(setup: Setup) -> tuple[list[tuple[Method, int, int]], list[str]]:
    """Method, shots and seed of each run over a category, and what does not exist."""
    runs, left_out = [], []
    for method in setup.chosen():
        for shots in sorted(set(setup.shots)):
            if method.few_shot if shots else method.zero_shot:
                seeds = dict.fromkeys(setup.seeds) if shots else [0]
                runs += [(method, shots, seed) for seed in seeds]
            else:
                need = "takes no support pictures" if shots else "needs support pictures"
                left_out.append(f"{method.name} {need}: no {shots}-shot row")
    return runs, left_out


def _check_weights(setup: Setup) -> None:
    for name, file in setup.weights.items():
        method = find_method(name, "inspect")
        if not (method.trained or method.optional_weights):
            refuse_weights(name, file)
        if not file.is_file():
            raise InputError(f"no such file of learned parts: {file}")
    for method in setup.chosen():
        if method.trained and method.name not in setup.weights:
            raise needs_weights(method.name, published=True)


def _places(setup: Setup) -> list[tuple[str, Path, list[str]]]:
    """Name, root and chosen categories of each data set."""
    places = [(d, root, _categories(root, setup)) for d, root in name_roots(setup.roots)]
    known = {category for _, _, categories in places for category in categories}
    for category in setup.categories:
        if category not in known:
            raise unknown_name("category", category, known)
    for category in setup.products:
        if category not in known:
            raise unknown_name("category of a product", category, known)
    chosen = set(setup.categories) or known
    return [(d, root, [c for c in categories if c in chosen]) for d, root, categories in places]


def _categories(root: Path, setup: Setup) -> tuple[str, ...]:
    return AnomalyFolder(root, split="test", layout=setup.layout).categories
