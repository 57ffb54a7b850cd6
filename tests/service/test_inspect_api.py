"""Pictures in and decisions out, over HTTP."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
from PIL import Image

from tests.inspection.products import SIZE, part, scratched
from tests.service.made import API, Service, png

PNG = {"Content-Type": "image/png"}


def picture(service: Service, path: str) -> np.ndarray:
    answer = service.http.get(f"{API}/decisions/{path}", headers=service.head("auditor"))
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def test_a_decision_comes_with_everything_the_page_shows(service: Service) -> None:
    bad, fine = service.inspect(scratched(30), source="a-1"), service.inspect(part(31))
    assert (bad["verdict"], fine["verdict"]) == ("reject", "pass")
    assert bad["source"] == "a-1" and fine["source"].startswith("upload#")
    assert bad["words"] == list(bad["defects"][0]["words"]) and set(bad["words"]) == {
        "scratch",
        "dent",
    }
    assert fine["words"] == [] and bad["guarantee"]["alpha"] == 0.1
    again = service.http.get(f"{API}/decisions/{bad['id']}", headers=service.head("auditor"))
    assert again.json() == bad


def test_pictures_of_a_decision(service: Service) -> None:
    image = scratched(32)
    decision = service.inspect(image)
    name = decision["id"]
    assert (picture(service, f"{name}/picture") == image).all()
    assert max(picture(service, f"{name}/picture?width=32").shape[:2]) == 32
    heat, mask = picture(service, f"{name}/map.png"), picture(service, f"{name}/mask.png")
    assert heat.shape == (*SIZE, 4) and mask.shape == SIZE
    x0, y0, x1, y1 = decision["defects"][0]["box"]
    assert mask[y0:y1, x0:x1].any() and (mask > 0).sum() == sum(
        defect["area_px"] for defect in decision["defects"]
    )
    assert heat[..., 3][mask > 0].mean() > heat[..., 3][mask == 0].mean()
    assert picture(service, f"{name}/word/scratch.png").shape == (*SIZE, 4)
    for path in ("word/rust.png", "word/..%2F..%2Fetc.png"):
        answer = service.http.get(f"{API}/decisions/{name}/{path}", headers=service.head())
        assert answer.status_code == 404


def test_a_form_does_as_well_as_a_body(service: Service) -> None:
    form = {"image": ("../../part 7.png", png(part(33)), "image/png")}
    answer = service.http.post(
        f"{API}/products/nut/inspect", files=form, headers=service.head("operator")
    )
    assert answer.status_code == 200
    assert answer.json()["source"].startswith("part 7.png#")  # the last part of its name


def test_not_waiting_gives_a_job_that_becomes_the_decision(service: Service) -> None:
    accepted = service.inspect(part(34), wait=False)
    url, head = accepted["status_url"], service.head("operator")
    until = time.monotonic() + 20
    while (job := service.http.get(url, headers=head).json())["state"] != "done":
        assert time.monotonic() < until
        time.sleep(0.05)
    assert job["decision"]["id"] == accepted["id"] and job["decision"]["verdict"] == "pass"


def test_sent_twice_is_one_decision(service: Service) -> None:
    head = {**service.head("operator"), **PNG, "Idempotency-Key": "part-35"}
    url, before = f"{API}/products/nut/inspect", service.core.ledger.head().seq
    one, two = (service.http.post(url, content=png(part(35)), headers=head) for _ in range(2))
    assert one.json() == two.json() and service.core.ledger.head().seq == (before or 0) + 1
    other = service.http.post(url, content=png(part(36)), headers=head)
    assert other.status_code == 409 and "Idempotency-Key" in other.json()["error"]
    named = [service.inspect(part(35), source="same")["seq"] for _ in range(2)]
    unnamed = [service.inspect(part(35))["seq"] for _ in range(2)]
    assert len(set(named)) == 1 and len(set(unnamed)) == 2


@pytest.mark.parametrize(
    ("content", "kind", "status", "said"),
    [
        (b"", "image/png", 422, "empty"),
        (b"no picture", "image/png", 422, "the picture"),
        (png(part(1)), "text/html", 415, "image/png"),
        (png(part(1)), "", 415, "none"),
        (png(part(1)), "image/jpeg", 422, "the picture"),
        (png(part(1))[:4000], "image/png", 422, "the picture"),
        (png(part(1)) + b"PK\x03\x04", "image/png", 422, "ZIP"),
        (png(part(1)) + b"<script>alert(1)</script>", "image/png", 422, "script"),
        (b"--x", "multipart/form-data", 400, "boundary"),
        (b"--x--\r\n", "multipart/form-data; boundary=x", 415, "image"),
    ],
)
def test_what_is_no_picture_is_refused_and_not_accepted(
    service: Service, content: bytes, kind: str, status: int, said: str
) -> None:
    waiting, head = service.core.intake.waiting(), service.head("operator")
    answer = service.http.post(
        f"{API}/products/nut/inspect", content=content, headers={**head, "Content-Type": kind}
    )
    assert answer.status_code == status and said in answer.json()["error"]
    assert service.core.intake.waiting() == waiting


def test_a_picture_of_too_many_pixels_is_refused_unread(service: Service) -> None:
    huge = Image.new("1", (20_000, 20_000))
    stream = io.BytesIO()
    huge.save(stream, format="PNG")
    answer = service.http.post(
        f"{API}/products/nut/inspect",
        content=stream.getvalue(),
        headers={**service.head("operator"), **PNG},
    )
    assert answer.status_code == 413 and "megapixels" in answer.json()["error"]


def test_decisions_are_listed_in_pages_by_filters(service: Service) -> None:
    for number in range(3):
        service.inspect(part(40 + number), source=f"page-{number}")
    url, head = f"{API}/decisions", service.head("auditor")

    def ask(**query: object) -> dict:
        return service.http.get(url, params=query, headers=head).json()  # type: ignore[arg-type]

    first = ask(text="page-", limit=2)
    rest = ask(text="page-", limit=2, before=first["next"])
    assert [one["source"] for one in (*first["items"], *rest["items"])] == [
        "page-2",
        "page-1",
        "page-0",
    ]
    assert rest["next"] is None and ask(product="bolt")["items"] == []
    assert {one["verdict"] for one in ask(verdict="reject")["items"]} <= {"reject"}
    assert ask(since="2999-01-01T00:00:00Z")["items"] == []
    assert ask(text="\x00page-1")["items"][0]["source"] == "page-1"
    for query in ({"verdict": "maybe"}, {"since": "yesterday"}, {"limit": 0}, {"before": -1}):
        answer = service.http.get(url, params=query, headers=head)  # type: ignore[arg-type]
        assert answer.status_code == 422 and next(iter(query)) in answer.json()["error"]


@pytest.mark.parametrize("name", ["bolt", "%2e%2e", "..%2F..%2Fregistry.sqlite", "a%00b", "ä"])
def test_unknown_and_climbing_names_lead_nowhere(service: Service, name: str) -> None:
    for path in (f"products/{name}", f"products/{name}/drift", f"decisions/{name}/picture"):
        answer = service.http.get(f"{API}/{path}", headers=service.head())
        assert answer.status_code in (404, 422), (path, answer.text)
        assert set(answer.json()) == {"error", "request_id"}


def test_names_and_words_are_told_as_they_are_and_never_as_markup(service: Service) -> None:
    evil = "<img src=x onerror=alert(1)>"
    decision = service.inspect(part(44), source=evil)
    answer = service.http.get(f"{API}/decisions/{decision['id']}", headers=service.head())
    assert decision["source"] == evil and answer.headers["content-type"] == "application/json"
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy and "unsafe" not in policy


def test_a_busy_service_says_when_to_come_again(service: Service) -> None:
    batcher = service.core.judging.batcher
    waiting, per_key = batcher.waiting, batcher.per_holder
    head = {**service.head("operator"), **PNG}
    try:
        batcher.per_holder = 0
        answer = service.http.post(
            f"{API}/products/nut/inspect", content=png(part(1)), headers=head
        )
        assert answer.status_code == 429 and int(answer.headers["retry-after"]) >= 1
        batcher.per_holder, batcher.waiting = per_key, 0
        answer = service.http.post(
            f"{API}/products/nut/inspect", content=png(part(1)), headers=head
        )
        assert answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1
    finally:
        batcher.waiting, batcher.per_holder = waiting, per_key
