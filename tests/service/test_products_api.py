"""Products over HTTP: made, changed, calibrated, taught, sent and forgotten."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dense.inspection.keys import Keys
from tests.inspection.products import SIZE, part, scratched
from tests.service.made import API, Service, files, png, running


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Service]:
    with running(tmp_path) as made:
        yield made


def post(service: Service, path: str, status: int = 200, **options: object) -> dict:
    answer = service.http.post(f"{API}/{path}", headers=service.head(), **options)  # type: ignore[arg-type]
    assert answer.status_code == status, answer.text
    return answer.json()


def get(service: Service, path: str, status: int = 200) -> dict:
    answer = service.http.get(f"{API}/{path}", headers=service.head())
    assert answer.status_code == status, answer.text
    return answer.json()


def test_a_product_from_pictures_words_and_regions(fresh: Service) -> None:
    regions = {"regions": {"left": [[0, 0], [48, 0], [48, 64], [0, 64]]}}
    form = {
        "name": "bolt",
        "words": "steel bolt",
        "look_for": "rust\n\n scratch ",
        "ignore": "oil",
        "method": "patch",
        "mm_per_pixel": "0.5",
        "regions": json.dumps(regions),
    }
    made = post(fresh, "products", 201, data=form, files=files("support", 1, 2, 3))
    assert (made["name"], made["version"], made["words"]) == ("bolt", 1, "steel bolt")
    assert (made["look_for"], made["ignore"]) == (["rust", "scratch"], ["oil"])
    assert made["regions"] == ["left"] and made["mm_per_pixel"] == 0.5
    assert made["support"][0] == {"name": "good1.png", "size": list(SIZE)}
    assert made["calibrated"] is False and "view" not in made["product"]
    assert get(fresh, "products/bolt") == made
    assert [one["name"] for one in get(fresh, "products")] == ["bolt", "nut"]  # type: ignore[index]
    drawn = fresh.http.get(f"{API}/products/bolt/regions.png", headers=fresh.head())
    assert drawn.status_code == 200 and drawn.headers["content-type"] == "image/png"
    assert get(fresh, "products/nut/regions.png", 404)
    shown = fresh.http.get(f"{API}/products/bolt/support/1?width=32", headers=fresh.head())
    assert shown.headers["content-type"] == "image/jpeg"
    assert get(fresh, "products/bolt/support/3", 404)
    entry = fresh.core.ledger.entries(limit=1000)[-1]
    assert entry.kind == "product" and entry.actor.startswith("engineer (")


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"name": "nut"}, 409, "already"),
        ({"name": "../nut"}, 422, "name"),
        ({"method": "magic"}, 422, "unknown inspect method"),
        ({"regions": "{"}, 422, "JSON"),
        ({"regions": "[]"}, 422, "object"),
        ({"regions": '{"regions": {"a": "/etc/passwd"}}'}, 422, "files cannot be named"),
        ({"regions": '{"ignore": ["../keys/signing.pem"]}'}, 422, "files cannot be named"),
        ({"regions": '{"regions": {"a": [[0, 0], [999, 0], [0, 9]]}}'}, 422, "leaves the picture"),
        ({"look_for": "\n".join(map(str, range(33)))}, 422, "32"),
        ({"mm_per_pixel": "-1"}, 422, "mm_per_pixel"),
        ({"mm_per_pixel": "nan"}, 422, "mm_per_pixel"),
    ],
)
def test_what_no_product_can_be_made_from(
    service: Service, change: dict[str, str], status: int, said: str
) -> None:
    form = {"name": "bolt", "method": "patch", **change}
    answer = post(service, "products", status, data=form, files=files("support", 1))
    assert said in answer["error"] and "/tmp" not in answer["error"]
    assert service.core.registry.names() == ["nut"]


def test_calibration_what_if_and_threshold(fresh: Service) -> None:
    defects = [("defects", ("bad.png", png(scratched(60)), "image/png"))]
    good = files("good", *range(61, 70))
    made = post(fresh, "products/nut/calibrate", data={"alpha": "0.1"}, files=[*good, *defects])
    assert made["guarantee"]["alpha"] == 0.1 and (made["good_parts"], made["defect_parts"]) == (
        9,
        1,
    )
    fresh.inspect(scratched(30))
    shown = get(fresh, "products/nut/calibration")
    limit = shown["threshold"]
    assert limit == max(shown["scores_good"]) == made["threshold"]
    assert (shown["good_total"], shown["defect_total"], shown["recent_total"]) == (9, 1, 1)
    rows = {row["threshold"]: row for row in shown["what_if"]}
    assert rows[limit]["good_rejected"] == 0.0 and rows[limit]["recent_rejected"] == 1.0
    lowest = rows[min(rows)]
    assert lowest["good_rejected"] == pytest.approx(8 / 9)
    assert rows[max(rows)]["defects_passed"] == 1.0
    assert shown["escape"]["examples"] == 1
    moved = post(fresh, "products/nut/threshold", json={"alpha": 0.5})
    assert moved["threshold"] < limit
    by_hand = post(fresh, "products/nut/threshold", json={"threshold": 0.7})
    assert by_hand["threshold"] == 0.7 and by_hand["guarantee"] is None
    again = post(fresh, "products/nut/threshold", json={"alpha": 0.5})  # on the same nine parts
    assert (again["threshold"], again["guarantee"]) == (moved["threshold"], moved["guarantee"])
    assert post(fresh, "products/nut/undo")["version"] == by_hand["version"]
    assert post(fresh, "products/nut/undo")["version"] == moved["version"]
    assert "at least" in post(fresh, "products/nut/threshold", 422, json={"alpha": 0.01})["error"]
    for body in ({}, {"alpha": 2}, {"alpha": 0.1, "threshold": 1}, {"beta": 1}):
        post(fresh, "products/nut/threshold", 422, json=body)


def test_feedback_feeds_recalibration_and_undo_takes_it_back(fresh: Service) -> None:
    post(fresh, "products/nut/calibrate", data={"alpha": "0.5"}, files=files("good", 61, 62, 63))
    known = set(get(fresh, "products/nut/calibration")["scores_good"])
    alarm = next(
        found for seed in range(70, 99) if (found := fresh.inspect(part(seed)))["verdict"] != "pass"
    )
    url = f"decisions/{alarm['id']}/feedback"
    said = post(fresh, url, json={"kind": "false-alarm", "note": "oil", "use": "calibration"})
    assert said["feedback"]["use"] == "calibration" and said["feedback"]["note"] == "oil"
    assert get(fresh, "products/nut")["good_parts"] == 4
    again = post(fresh, "products/nut/recalibrate")
    scores = get(fresh, "products/nut/calibration")["scores_good"]
    (joined,) = set(scores) - known
    assert joined == pytest.approx(alarm["score"], rel=1e-5)
    assert again["guarantee"]["parts"] == 4
    assert "undo the feedback" in post(fresh, url, 409, json={"kind": "right"})["error"]
    answer = fresh.http.delete(f"{API}/{url}", headers=fresh.head("operator"))
    assert answer.json()["feedback"] is None
    post(fresh, "products/nut/recalibrate")
    assert set(get(fresh, "products/nut/calibration")["scores_good"]) == known


def test_feedback_joins_the_memory_and_leaves_it(fresh: Service) -> None:
    post(fresh, "products/nut/calibrate", data={"alpha": "0.5"}, files=files("good", 61, 62, 63))
    alarm = next(
        found for seed in range(70, 99) if (found := fresh.inspect(part(seed)))["verdict"] != "pass"
    )
    before = get(fresh, "products/nut")
    url = f"decisions/{alarm['id']}/feedback"
    post(fresh, url, json={"kind": "false-alarm", "use": "memory"})
    after = get(fresh, "products/nut")
    assert after["support_count"] == before["support_count"] + 1
    assert after["guarantee"]["alpha"] == 0.5 and after["guarantee"]["parts"] == 3
    picture = fresh.http.get(f"{API}/decisions/{alarm['id']}/picture", headers=fresh.head()).content
    head = {**fresh.head("operator"), "Content-Type": "image/png"}
    now = fresh.http.post(f"{API}/products/nut/inspect", content=picture, headers=head).json()
    assert now["verdict"] == "pass" and now["score"] < 1e-3  # it knows this very picture
    assert fresh.http.delete(f"{API}/{url}", headers=fresh.head("operator")).status_code == 403
    assert fresh.http.delete(f"{API}/{url}", headers=fresh.head()).status_code == 200
    last = get(fresh, "products/nut")
    assert last["support"] == before["support"] and last["version"] == after["version"] + 1
    again = fresh.http.post(f"{API}/products/nut/inspect", content=picture, headers=head).json()
    assert again["score"] == pytest.approx(alarm["score"], rel=1e-5)


def test_feedback_that_does_not_fit_is_refused(service: Service) -> None:
    bad, fine = service.inspect(scratched(30)), service.inspect(part(11))
    for decision, body, said in (
        (bad, {"kind": "missed"}, "missed"),
        (fine, {"kind": "false-alarm"}, "false"),
        (fine, {"kind": "missed", "use": "memory"}, "only good parts"),
        (bad, {"kind": "false-alarm", "use": "elsewhere"}, "use"),
        (bad, {"kind": "maybe"}, "kind"),
        (bad, {"kind": "right", "note": "x" * 1001}, "note"),
    ):
        answer = post(service, f"decisions/{decision['id']}/feedback", 422, json=body)
        assert said in answer["error"], body
    assert post(service, f"decisions/{'0' * 32}/feedback", 404, json={"kind": "right"})


def test_words_and_regions_change_and_the_threshold_follows(fresh: Service) -> None:
    before = post(
        fresh, "products/nut/calibrate", data={"alpha": "0.25"}, files=files("good", 61, 62, 63)
    )
    made = post(fresh, "products/nut/words", json={"look_for": ["rust"], "ignore": []})
    assert made["look_for"] == ["rust"] and made["ignore"] == [] and made["words"] == "nut"
    assert made["guarantee"]["alpha"] == 0.25 and made["version"] == before["version"] + 1
    drawn = json.dumps({"regions": {"all": [[0, 0], [96, 0], [96, 64], [0, 64]]}})
    with_region = post(fresh, "products/nut/regions", data={"regions": drawn})
    assert with_region["regions"] == ["all"] and with_region["calibrated"]
    assert post(fresh, "products/nut/regions")["regions"] == []
    for body in ({"words": ""}, {"look_for": ["x" * 201]}, {"look_for": ["x"] * 33}):
        post(fresh, "products/nut/words", 422, json=body)


def test_a_product_travels_signed_and_forged_ones_stay_out(fresh: Service, tmp_path: Path) -> None:
    sent = fresh.http.get(f"{API}/products/nut/export", headers=fresh.head())
    assert sent.headers["content-disposition"] == 'attachment; filename="nut.dense"'
    with running(tmp_path / "other") as other:
        other.core.registry.delete("nut")
        file = {"file": ("nut.dense", sent.content, "application/octet-stream")}
        refused = post(other, "products/import", 422, files=file)
        assert "nut.dense" in refused["error"] and "/tmp" not in refused["error"]
        Keys(tmp_path / "keys").export_public(tmp_path / "key.pem")
        Keys(tmp_path / "other" / "keys").trust(tmp_path / "key.pem")
        broken = sent.content.replace(b'"words":"nut"', b'"words":"nix"')
        assert broken != sent.content
        post(other, "products/import", 422, files={"file": ("nut.dense", broken, "a/b")})
        assert post(other, "products/import", 201, files=file)["name"] == "nut"
        assert post(other, "products/import", 201, files=file, data={"name": "n2"})["name"] == "n2"
        assert post(other, "products/import", 409, files=file)


def test_a_deleted_product_is_gone_its_decisions_stay_and_its_name_counts_on(
    fresh: Service,
) -> None:
    decision = fresh.inspect(part(31), source="same")
    url = f"{API}/products/nut"
    assert fresh.http.delete(url, headers=fresh.head()).status_code == 204
    assert get(fresh, "products/nut", 404)
    assert get(fresh, f"decisions/{decision['id']}") == decision
    form = {"name": "nut", "method": "patch"}
    made = post(fresh, "products", 201, data=form, files=files("support", 5, 6))
    assert made["version"] == decision["version"] + 1  # or ids of decisions would come again
    assert fresh.inspect(part(31), source="same")["id"] != decision["id"]


def test_audit_and_methods(service: Service) -> None:
    audited = get(service, "products/nut/audit")
    assert [one["place"] for one in audited] == [0, 1, 2, 3]  # type: ignore[index]
    assert all(one["ok"] == (not one["findings"]) for one in audited)  # type: ignore[index]
    methods = get(service, "methods")
    assert methods[0]["name"] == "words-memory"  # type: ignore[index]
    assert "patch" in {one["name"] for one in methods}  # type: ignore[index]
