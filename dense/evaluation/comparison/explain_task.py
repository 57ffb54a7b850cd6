"""Comparison of explanations: the same pictures and sentences, explained by each method."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from dense import __version__
from dense.backbones import CLIPBackbone
from dense.evaluation.code_digest import code_digest
from dense.evaluation.comparison import explain_tables
from dense.evaluation.comparison.box_data import BoxCell, chosen_pictures, evenly, folder_digest
from dense.evaluation.comparison.cells import (
    Measured,
    Record,
    Summed,
    Task,
    common_key,
    common_protocol,
)
from dense.evaluation.comparison.explain_plan import (
    ExplainSetup,
    plan,
    sentence_of,
)
from dense.evaluation.comparison.extremes import Extremes, Picture, shrink, small_size
from dense.explain.base import Explainer, Explanation
from dense.explain.checks import (
    Faithfulness,
    perturbation_curves,
    random_areas,
    random_twin,
)
from dense.explain.draw import draw_map
from dense.explain.explain import explain_pair, find_explainer
from dense.explain.pair import Pair, make_pair
from dense.images import resize_map
from dense.metrics.explanation import rank_correlation
from dense.metrics.intervals import mean_interval
from dense.structures import Sample

FORMAT = 1
"""Raised when cells of older versions must not be used any more."""
SEED = 0
"""Of the random weights; random orders take the picture's place in the folder."""


class ExplainTask(Task):
    """Explanations side by side: are they truer to the model than chance?

    Args:
        backbone: The checkpoint.
        setup: What is compared.

    Raises:
        InputError: As `plan`.
    """

    name: ClassVar[str] = "explain"
    title: ClassVar[str] = "Explanations compared"
    summed: ClassVar[Summed] = explain_tables
    terminal: ClassVar[tuple[str, ...]] = explain_tables.TERMINAL

    def __init__(self, backbone: CLIPBackbone, setup: ExplainSetup) -> None:
        self.backbone = backbone
        self.setup = setup
        self.left_out = []
        self.cells, self._folders = plan(setup)
        self._places = {r: chosen_pictures(f, setup.limit) for r, f in self._folders.items()}
        self._chance: dict[tuple[Path, int], tuple[float, ...]] = {}
        self._common = common_key(backbone) | {"format": FORMAT, "settings": self._settings()}

    def protocol(self) -> Record:
        """See the base class."""
        limit = self.setup.limit
        return {
            **common_protocol(self.backbone),
            "sentence": "a photo of a NAME, of the class whose boxes cover most",
            "pictures": "all with boxes" if limit is None else f"{limit} at most, evenly spaced",
            "fill": "mean colour",
            "deletion, insertion, random": "mean cosine over the curve; lower, higher, chance",
            **self._settings(),
            "wins": "percent of pictures that beat chance",
            "random_weights": "mean Spearman correlation with the map of random weights; near 0",
            "s_per_image": "of the explanation alone",
            "version": __version__,
        }

    def key(self, cell: BoxCell) -> Record:
        """See the base class."""
        folder, places = self._folders[cell.root], self._places[cell.root]
        return self._common | {
            "method": [cell.method.name, cell.method.build],
            "code": code_digest(cell.method.build.partition(":")[0], random_areas.__module__),
            "data": folder_digest(cell.root, folder, places),
        }

    def measure(self, waiting: Mapping[BoxCell, Path]) -> Iterator[Measured]:
        """See the base class."""
        for cell, path in waiting.items():
            explainer = find_explainer(cell.method.name)
            extremes = Extremes[Explanation](explain_tables.KINDS, _draw)
            found, seconds, said = _Found(), 0.0, dict[str, str]()
            for place in self._places[cell.root]:
                sample = self._folders[cell.root][place]
                pair = self._pair(self.backbone, cell.root, place, sample)
                begun = time.perf_counter()
                explanation = explain_pair(pair, explainer, sample.image_size)
                seconds += time.perf_counter() - begun
                gain = found.add(self._checked(cell.root, place, pair, explanation))
                said[self._folders[cell.root].paths[place].name] = explanation.sentence
                extremes.see({"worst": -gain, "best": gain}, gain, sample, explanation)
            metrics = found.scores() | {"random_weights": self._redrawn(cell, explainer)}
            pictures = extremes.write(path.with_suffix("")) if self.setup.pictures else []
            for picture in pictures:
                picture["source"] += f", {said[picture['source']]}"
            yield (
                cell,
                {
                    "protocol": explainer.describe(),
                    "images": len(self._places[cell.root]),
                    "metrics": metrics,
                    "seconds": seconds,
                    "pictures": pictures,
                },
            )

    def summary(self, record: Record) -> str:
        """See the base class."""
        gains = (record["metrics"][f"{kind}_gain"] for kind in ("deletion", "insertion"))
        return "gain over chance {:+.4f} by deletion, {:+.4f} by insertion".format(*gains)

    def _settings(self) -> Record:
        setup = self.setup
        return {"steps": setup.steps, "random_orders": setup.orders, "redrawn": setup.redrawn}

    def _pair(self, backbone: CLIPBackbone, root: Path, place: int, sample: Sample) -> Pair:
        return make_pair(backbone, sample.image, sentence_of(self._folders[root], place))

    def _checked(
        self, root: Path, place: int, pair: Pair, explanation: Explanation
    ) -> Faithfulness:
        """Random orders are the same for every method, so they run once a picture."""
        steps = self.setup.steps
        if (root, place) not in self._chance:
            orders = self.setup.orders
            self._chance[root, place] = random_areas(pair, steps=steps, orders=orders, seed=place)
        curves = perturbation_curves(pair, explanation.patches, steps=steps)
        return Faithfulness(curves, self._chance[root, place])

    def _redrawn(self, cell: BoxCell, explainer: Explainer) -> float:
        """Mean correlation with the maps of one drawing of random weights; nan without pictures."""
        twin, found = random_twin(self.backbone, SEED), []
        for place in evenly(self._places[cell.root], self.setup.redrawn):
            sample = self._folders[cell.root][place]
            pairs = (self._pair(b, cell.root, place, sample) for b in (self.backbone, twin))
            maps = (explain_pair(pair, explainer, sample.image_size).patches for pair in pairs)
            found.append(rank_correlation(*maps))
        return float(np.mean(found)) if found else float("nan")


class _Found:
    """What one method's explanations add up to."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def add(self, checked: Faithfulness) -> float:
        """Count a picture; the sum of its gains."""
        summary = checked.summary()
        names = ("deletion", "insertion", "random", "deletion_gain", "insertion_gain")
        self.rows.append({name: float(str(summary[name])) for name in names})
        return self.rows[-1]["deletion_gain"] + self.rows[-1]["insertion_gain"]

    def scores(self) -> dict[str, float]:
        """Means, shares of pictures that beat chance, and 95 % limits of the mean gains."""
        columns = {name: np.array([row[name] for row in self.rows]) for name in self.rows[0]}
        scores = {name: float(values.mean()) for name, values in columns.items()}
        for kind in ("deletion", "insertion"):
            gains = columns[f"{kind}_gain"]
            low, high = mean_interval(gains)
            scores |= {f"{kind}_gain_low": low, f"{kind}_gain_high": high}
            scores[f"{kind}_wins"] = 100 * float((gains > 0).mean())
        return scores


def _draw(sample: Sample, result: Explanation) -> Picture:
    """The picture shrunk, under its map."""
    size = small_size(sample.image_size)
    return draw_map(shrink(sample.image), resize_map(result.patches, size))
