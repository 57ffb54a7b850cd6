"""The endpoints of the discontinued service, from an empty project to a detection."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dense.service.lookout.models import possible_alpha, split
from tests.inspection.products import SIZE, part, scratched
from tests.service.made import Service, png, running

ROOT = "/2020-11-20/projects"


@pytest.fixture(scope="module")
def lookout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("home")) as made:
        yield made


def call(
    service: Service, method: str, path: str = "", status: int = 200, **options: object
) -> dict:
    answer = service.http.request(method, f"{ROOT}{path}", headers=service.head(), **options)  # type: ignore[arg-type]
    assert answer.status_code == status, answer.text
    return answer.json()


def line(image: np.ndarray, label: int, **about: object) -> dict[str, object]:
    data = base64.b64encode(png(image)).decode()
    return {"source-ref": f"data:image/png;base64,{data}", "anomaly-label": label, **about}


def changes(*lines: object) -> dict[str, str]:
    text = "\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines)
    return {"Changes": base64.b64encode(text.encode()).decode()}


def make_project(lookout: Service) -> None:
    """A project "seal" with 12 normal and one anomalous picture, and three to test on."""
    made = call(lookout, "POST", json={"ProjectName": "seal"})["ProjectMetadata"]
    assert made["ProjectName"] == "seal" and made["ProjectArn"].endswith("project/seal")
    for kind in ("train", "test"):
        told = call(lookout, "POST", "/seal/datasets", 202, json={"DatasetType": kind})
        assert told["DatasetMetadata"]["Status"] == "CREATE_COMPLETE"
    good = [line(part(seed), 0) for seed in range(1, 13)]
    bad = line(scratched(30), 1)
    call(lookout, "PATCH", "/seal/datasets/train/entries", 202, json=changes(*good, bad))
    call(lookout, "PATCH", "/seal/datasets/train/entries", 202, json=changes(good[0]))  # again
    named = {"anomaly-label-metadata": {"class-name": "normal"}}
    test = changes(line(part(40), 1, **named), line(scratched(41), 1), line(scratched(42), 1))
    call(lookout, "PATCH", "/seal/datasets/test/entries", 202, json=test)
    described = call(lookout, "GET", "/seal/datasets/train")["DatasetDescription"]
    assert described["ImageStats"] == {"Total": 13, "Labeled": 13, "Normal": 12, "Anomaly": 1}
    page = call(lookout, "GET", "/seal/datasets/test/entries?maxResults=2")
    assert page["NextToken"] == "2" and json.loads(page["DatasetEntries"][0])["anomaly-label"] == 0


def test_from_an_empty_project_to_a_detection(lookout: Service) -> None:
    make_project(lookout)
    body = {"Description": "first", "OutputConfig": {"S3Location": {"Bucket": "b"}}}
    model = call(lookout, "POST", "/seal/models", 202, json=body)["ModelMetadata"]
    assert model["Status"] == "TRAINED" and model["Performance"]["Recall"] == 1.0
    version = model["ModelVersion"]
    record = lookout.core.registry.get("seal")
    assert str(record.version) == version and len(record.product.support) == 3
    calibration = record.product.calibration
    assert calibration is not None and (calibration.alpha, calibration.parts) == (0.1, 9)

    image = scratched(43)
    url, head = f"{ROOT}/seal/models/{version}/detect", {"Content-Type": "image/png"}
    answer = lookout.http.post(
        url, content=png(image), headers={**lookout.head("operator"), **head}
    )
    assert answer.status_code == 409 and answer.headers["x-amzn-errortype"] == "ConflictException"
    assert "not hosted" in answer.json()["message"] == answer.json()["error"]
    call(lookout, "POST", f"/seal/models/{version}/start", 202, json={"MinInferenceUnits": 1})
    shown = call(lookout, "GET", f"/seal/models/{version}")["ModelDescription"]
    assert shown["Status"] == "HOSTED" and shown["Description"] == "first"
    answer = lookout.http.post(
        url, content=png(image), headers={**lookout.head("operator"), **head}
    )
    found = answer.json()["DetectAnomalyResult"]
    assert found["IsAnomalous"] is True and found["Confidence"] == pytest.approx(0.9)
    assert found["Source"] == {"Type": "direct"}
    background, anomaly = found["Anomalies"]
    assert (background["Name"], anomaly["Name"]) == ("background", "anomaly")
    areas = [one["PixelAnomaly"]["TotalPercentageArea"] for one in found["Anomalies"]]
    assert sum(areas) == pytest.approx(1) and 0 < areas[1] < 0.5
    mask = np.asarray(Image.open(io.BytesIO(base64.b64decode(found["AnomalyMask"]))))
    colour = bytes.fromhex(anomaly["PixelAnomaly"]["Color"][1:])
    assert mask.shape == (*SIZE, 3)
    assert (mask == list(colour)).all(-1).mean() == pytest.approx(areas[1])
    (logged,) = lookout.core.ledger.decisions(product="seal")
    assert logged.decision["verdict"] == "reject"  # judged by the one judge, in the one log

    again = call(lookout, "POST", "/seal/models", 202, json={})["ModelMetadata"]
    assert int(again["ModelVersion"]) > int(version)
    assert len(call(lookout, "GET", "/seal/models")["Models"]) == 2
    call(lookout, "DELETE", "/seal", 409)
    call(lookout, "POST", f"/seal/models/{version}/stop", 202)
    call(lookout, "DELETE", "/seal")
    call(lookout, "GET", "/seal", 404)
    assert lookout.core.registry.names() == ["nut"] and len(lookout.core.ledger.decisions()) == 1


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("no JSON", "line 1"),
        ("[]", "line 1"),
        ({"source-ref": "s3://bucket/picture.png", "anomaly-label": 0}, "fetches nothing"),
        ({"source-ref": "http://169.254.169.254/latest", "anomaly-label": 0}, "fetches nothing"),
        ({"source-ref": "file:///etc/passwd", "anomaly-label": 0}, "fetches nothing"),
        ({"source-ref": "data:image/svg+xml;base64,AA==", "anomaly-label": 0}, "fetches nothing"),
        ({"source-ref": "data:image/png;base64,!!", "anomaly-label": 0}, "no base64"),
        ({"source-ref": "data:image/png;base64,AAAA", "anomaly-label": 0}, "line 1"),
        ({"source-ref": "data:image/png;base64,AAAA", "anomaly-label": "7"}, "0 normal"),
    ],
)
def test_entries_of_another_form_are_refused(lookout: Service, bad: object, said: str) -> None:
    if "forms" not in [p["ProjectName"] for p in call(lookout, "GET")["Projects"]]:
        call(lookout, "POST", json={"ProjectName": "forms"})
        call(lookout, "POST", "/forms/datasets", 202, json={"DatasetType": "train"})
    answer = call(lookout, "PATCH", "/forms/datasets/train/entries", 422, json=changes(bad))
    assert said in answer["error"]
    assert (
        call(lookout, "GET", "/forms/datasets/train")["DatasetDescription"]["ImageStats"]["Total"]
        == 0
    )


def test_what_is_not_there_or_too_little(lookout: Service) -> None:
    call(lookout, "POST", json={"ProjectName": "empty"})
    call(lookout, "POST", status=409, json={"ProjectName": "empty"})
    call(lookout, "POST", status=422, json={"ProjectName": "../x"})
    call(lookout, "GET", "/empty/datasets/train", 404)
    call(lookout, "GET", "/empty/datasets/other", 422)
    call(lookout, "POST", "/empty/datasets", 202, json={"DatasetType": "train"})
    call(lookout, "POST", "/empty/datasets", 409, json={"DatasetType": "train"})
    assert "two normal" in call(lookout, "POST", "/empty/models", 422, json={})["error"]
    for path in ("models/1", "models/1/start"):
        call(lookout, "GET" if path.endswith("1") else "POST", f"/empty/{path}", 404)
    call(lookout, "PATCH", "/empty/datasets/train/entries", 422, json={"Changes": "ä"})
    call(lookout, "DELETE", "/empty/datasets/train", 202)
    assert call(lookout, "GET", "/empty")["ProjectDescription"]["Datasets"] == []


def test_how_normal_pictures_are_shared_out() -> None:
    rows = [
        {"sha256": str(n), "suffix": ".png", "anomalous": False, "added": 0.0} for n in range(100)
    ]
    assert [len(part_) for part_ in split(rows[:7])] == [7, 0]  # type: ignore[arg-type]
    assert [len(part_) for part_ in split(rows[:8])] == [2, 6]  # type: ignore[arg-type]
    assert [len(part_) for part_ in split(rows)] == [16, 84]  # type: ignore[arg-type]
    assert possible_alpha(19) == 0.05 and possible_alpha(6) == 0.143 and possible_alpha(500) == 0.05


def test_a_product_made_otherwise_is_no_project(lookout: Service, tmp_path: Path) -> None:
    call(lookout, "GET", "/nut", 404)
    assert "nut" not in [p["ProjectName"] for p in call(lookout, "GET")["Projects"]]
