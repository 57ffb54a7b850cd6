"""Drift and report over HTTP, and the playground; their content has tests of its own."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tests.inspection.products import SIZE, part, scratched
from tests.service.made import API, Service, png


def test_drift_and_report(service: Service) -> None:
    for seed in (11, 12, 13):
        service.inspect(part(seed))
    service.inspect(scratched(30))
    head = service.head("auditor")
    drift = service.http.get(f"{API}/products/nut/drift", headers=head).json()
    assert drift["product"] == "nut" and drift["decisions"] == 4 and drift["alarm"] is False
    page = service.http.get(f"{API}/products/nut/report.html", headers=head)
    assert page.status_code == 200 and "nut" in page.text
    policy = page.headers["content-security-policy"]
    assert "sandbox" in policy and "script-src" not in policy
    document = service.http.get(f"{API}/products/nut/report.pdf", headers=head)
    assert document.status_code == 200 and document.content.startswith(b"%PDF-")
    assert service.http.get(f"{API}/products/bolt/report.pdf", headers=head).status_code == 404


def play(service: Service, task: str, **form: str):  # type: ignore[no-untyped-def]
    return service.http.post(
        f"{API}/playground/{task}",
        data=form,
        files={"image": ("p.png", png(part(1)), "image/png")},
        headers=service.head("operator"),
    )


def test_words_on_a_picture(service: Service) -> None:
    answer = play(service, "segment", words="a wall\na door; a gate", background="sky").json()
    assert answer["size"] == list(SIZE)
    overlay = Image.open(io.BytesIO(base64.b64decode(answer["overlay"].partition(",")[2])))
    pixels = np.asarray(overlay)
    assert pixels.shape == (*SIZE, 4)
    for row in answer["legend"]:
        colour = [*bytes.fromhex(row["color"][1:]), 255]
        assert (pixels == colour).all(-1).mean() == pytest.approx(row["share"]), row
    assert "sky" not in {row["word"] for row in answer["legend"]}
    found = play(service, "detect", words="a wall\na door").json()
    for box in found["boxes"]:
        x0, y0, x1, y1 = box["box"]
        assert 0 <= x0 < x1 <= SIZE[1] and 0 <= y0 < y1 <= SIZE[0]
        assert box["word"] in {"a wall", "a door"} and box["color"] in {
            row["color"] for row in found["legend"]
        }


def test_words_that_cannot_be_played_with(service: Service) -> None:
    for words, said in (("", "words"), ("x" * 201, "200"), ("\n".join("ab" * 17), "32")):
        answer = play(service, "segment", words=words)
        assert answer.status_code == 422 and said in answer.json()["error"], words
