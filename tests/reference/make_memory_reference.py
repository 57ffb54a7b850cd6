"""Write memory_anomalib.json: anomalib's coreset and re-weighted PatchCore scores on formula rows.

Run from the repository root in an environment that has anomalib 2.7.0 beside this package:

    python -m tests.reference.make_memory_reference

Rows go into anomalib's sampler as (N, C, 1), which switches its random projection off.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import torch

from dense.compat import ensure_torchvision
from tests.reference.memory_inputs import BANK, CORESET_ROWS, CORESET_SHARE, QUERIES, WEIGHTED

OUT = Path(__file__).with_name("memory_anomalib.json")


def main() -> None:
    """Run both and store what they say."""
    ensure_torchvision()
    from anomalib.models.components.sampling.k_center_greedy import KCenterGreedy
    from anomalib.models.image.patchcore.torch_model import PatchcoreModel as Model

    torch.manual_seed(3)
    coreset = KCenterGreedy(CORESET_ROWS.unsqueeze(2), CORESET_SHARE).select_coreset_idxs()
    model = SimpleNamespace(memory_bank=BANK, euclidean_dist=Model.euclidean_dist)
    model.nearest_neighbors = lambda embedding, n_neighbors: Model.nearest_neighbors(
        model, embedding, n_neighbors
    )
    rows = QUERIES.flatten(0, 1)
    distances, places = (part.view(3, 12) for part in model.nearest_neighbors(rows, 1))
    scores = {}
    for count in WEIGHTED:
        model.num_neighbors = count
        values = Model.compute_anomaly_score(model, distances, places, rows)
        scores[str(count)] = [round(float(value), 6) for value in values]
    content = {"anomalib": version("anomalib"), "coreset": coreset, "scores": scores}
    OUT.write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
