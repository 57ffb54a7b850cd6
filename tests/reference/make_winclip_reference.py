"""Write winclip_anomalib.json: outputs of anomalib's WinCLIP on a tower filled by formula.

Run from the repository root in an environment that has anomalib 2.7.0 beside this package:

    python -m tests.reference.make_winclip_reference

What has to be changed in anomalib for open_clip 3 is told at `dense.benchmark.peers`.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import torch

from dense.backbones.preprocess import PreprocessConfig
from dense.benchmark.peers import anomalib_winclip
from tests.reference.winclip_inputs import PRODUCT, STEP, model, picture

OUT = Path(__file__).with_name("winclip_anomalib.json")


def main() -> None:
    """Run zero-shot and two-shot and store maps and scores."""
    winclip = anomalib_winclip(model(), PRODUCT)
    if winclip is None:
        raise SystemExit("anomalib is not installed")
    to_tensor = PreprocessConfig().to_tensor
    test = torch.stack([to_tensor(picture(number)) for number in (2, 3, 4)])
    support = torch.stack([to_tensor(picture(number)) for number in (0, 1)])
    results = {"zero_shot": winclip(test)}
    winclip.setup(reference_images=support)
    results["two_shot"] = winclip(test)
    stored = {
        name: {
            "scores": [round(float(score), 8) for score in result.pred_score],
            "maps": [
                [round(float(v), 8) for v in amap[::STEP, ::STEP].flatten()]
                for amap in result.anomaly_map
            ],
        }
        for name, result in results.items()
    }
    packages = ("anomalib", "open_clip_torch", "torch")
    note = {
        "made_by": "tests/reference/make_winclip_reference.py",
        "versions": {name: version(name) for name in packages},
        "inputs": "tests/reference/winclip_inputs.py; pictures 2, 3, 4; support 0, 1",
        "licence": "numbers computed with anomalib (Apache-2.0)",
    }
    OUT.write_text(json.dumps({"provenance": note, **stored}) + "\n")


if __name__ == "__main__":
    main()
