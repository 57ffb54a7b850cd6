"""Explanations of files: maps, word bars, a page, and the checks as numbers."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dense.apps.files import Report, Track, about, outcome, read_all
from dense.backbones import CLIPBackbone
from dense.errors import InputError
from dense.explain.base import Explanation
from dense.explain.checks import Fill, faithfulness, randomised_weights
from dense.explain.draw import draw_explanation
from dense.explain.explain import DEFAULT, check_picture, explain_pair, find_explainer
from dense.explain.pair import Pair, make_pair
from dense.images import write_image
from dense.outputs import check_writable, write_json
from dense.report import Entry, Figure, Section, write_report
from dense.structures import Sample


@dataclass(frozen=True)
class ExplainOptions:
    """What is explained, and how.

    Attributes:
        words: One sentence or several; each is explained for itself.
        method: An "explain" method of the catalogue.
        against: Sentences that are subtracted.
        short_side: Input short side in pixels; the tower's own if ``None``.
        check: Also measure deletion, insertion and random weights.
        fill: Of missing patches in the checks.

    Raises:
        InputError: If there are no words or the method is unknown.
    """

    words: Sequence[str]
    method: str = DEFAULT
    against: Sequence[str] = ()
    short_side: int | None = None
    check: bool = False
    fill: Fill = "mean"

    def __post_init__(self) -> None:
        if not self.words or not all(text.strip() for text in (*self.words, *self.against)):
            raise InputError("there are no words to explain: expected sentences that are not blank")
        find_explainer(self.method)


def explain_images(
    backbone: CLIPBackbone,
    paths: Sequence[Path],
    out: str | Path,
    options: ExplainOptions,
    *,
    track: Track[tuple[str, Sample]] | None = None,
) -> Report:
    """Explain files into maps, word bars, ``index.html`` and ``results.json``.

    Args:
        backbone: A loaded CLIP.
        paths: The pictures.
        out: Where everything goes.
        options: What is explained; the N-th sentence of a picture gives ``NAME_N_map.png``.
        track: Wraps the loop in a progress bar.

    Raises:
        InputError: If nothing could be read or explained, or the place cannot be written.
    """
    out = check_writable(out)
    started = time.perf_counter()
    skipped: list[Report] = []
    records: list[Report] = []
    entries: list[Entry] = []
    card: Mapping[str, object] = {}
    samples = read_all(paths, skipped)
    for name, sample in track(samples, len(paths), "explain") if track else samples:
        begun = time.perf_counter()
        found: list[Report] = []
        for number, words in enumerate(options.words, 1):
            explanation, record = _explain(backbone, sample, words, options)
            card = explanation.method
            heat, bars = draw_explanation(sample.image, explanation)
            record |= {"map": f"{name}_{number}_map.png", "bars": f"{name}_{number}_words.png"}
            write_image(out / str(record["map"]), heat)
            write_image(out / str(record["bars"]), bars)
            found.append(record)
            figures = [Figure(p, c) for p, c in ((sample.image, name), (heat, words), (bars, ""))]
            entries.append(Entry(f"{name}: {words}", figures, facts=_facts(record)))
        records.append({**about(sample, time.perf_counter() - begun), "explanations": found})
    report: Report = {
        "command": "explain",
        "method": dict(card),
        "against": list(options.against),
        **outcome(records, skipped, started),
    }
    write_json(out / "results.json", report)
    text = "Red places and words raise the similarity of picture and sentence, blue ones lower it."
    write_report(out / "index.html", "Which places, which words", [Section("", text, entries)])
    return report


def _explain(
    backbone: CLIPBackbone, sample: Sample, words: str, options: ExplainOptions
) -> tuple[Explanation, Report]:
    check_picture(sample.image)
    against, side = options.against, options.short_side
    pair = make_pair(backbone, sample.image, words, against=against, short_side=side)
    explanation = explain_pair(pair, find_explainer(options.method), sample.image_size)
    record = plain(explanation)
    if options.check:
        record["checks"] = checks(pair, sample, explanation, options)
    return explanation, record


def checks(pair: Pair, sample: Sample, explanation: Explanation, options: ExplainOptions) -> Report:
    """Deletion and insertion against random orders; correlation with a map of random weights."""
    drawn = randomised_weights(
        pair.backbone,
        sample.image,
        explanation.sentence,
        method=options.method,
        against=options.against,
        short_side=options.short_side,
    )
    found = faithfulness(pair, explanation.patches, fill=options.fill).summary()
    return {**found, "random_weights_correlation": drawn[0]}


def plain(explanation: Explanation) -> Report:
    """An explanation as plain values, without its maps."""
    return {
        "words": explanation.sentence,
        "score": explanation.score,
        "word_scores": [
            {"word": word, "score": float(score)}
            for word, score in zip(explanation.words, explanation.word_scores, strict=True)
        ],
        "token_scores": [
            {"token": token, "score": float(score)}
            for token, score in zip(explanation.tokens, explanation.token_scores, strict=True)
        ],
        "parts": dict(explanation.parts),
        "patches": explanation.patches.round(8).tolist(),
        "heads": None if explanation.heads is None else explanation.heads.round(8).tolist(),
    }


def _facts(record: Report) -> list[tuple[str, str]]:
    facts = [("score", f"{record['score']:.3f}")]
    found = record.get("checks")
    if isinstance(found, dict):
        facts += [
            ("deletion", f"{found['deletion']:.3f}"),
            ("insertion", f"{found['insertion']:.3f}"),
            ("random order", f"{found['random']:.3f}"),
            ("with random weights", f"{found['random_weights_correlation']:+.2f}"),
        ]
    return facts
