"""The OpenAPI document: complete, and nothing that it allows ends in a 5xx (schemathesis)."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import pytest
import uvicorn

from dense.service.server import Place, bind, make_config
from tests.service.made import API, Service

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

MOST = 4
"""Requests an endpoint here; `--max-examples 100` of its own command was run by hand."""


def operations(service: Service) -> list[tuple[str, str, dict]]:
    document = service.http.get("/openapi.json").json()
    return [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_operation_is_described_and_says_what_it_answers(service: Service) -> None:
    names = []
    for method, path, operation in operations(service):
        names.append(operation["operationId"])
        assert operation["summary"] and operation.get("description"), path
        answers = operation["responses"]
        good = [answers[code] for code in answers if code.startswith("2")]
        assert good, path
        assert any("content" in one for one in good) or "204" in answers, path
        if path.startswith((API, "/2020")):
            assert {"401", "403", "413", "422", "429", "503"} <= set(answers), path
            signs_in = (method, path) == ("POST", f"{API}/session")
            assert signs_in or operation["security"], path
    assert len(names) == len(set(names))


@pytest.fixture(scope="module")
def address(service: Service) -> Iterator[str]:
    """The same service on a port."""
    place = Place(port=0)
    listener = bind(place)
    config = make_config(service.core.settings, place, lambda: service.http.app, log=False)  # type: ignore[arg-type,return-value]
    config.lifespan = "off"
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(30)


def test_no_request_that_the_document_allows_ends_in_a_5xx(service: Service, address: str) -> None:
    from hypothesis import HealthCheck, Phase, given, settings

    schema = schemathesis.openapi.from_dict(service.http.get("/openapi.json").json())
    failed: list[str] = []
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path.endswith("/events"):  # never ends
            continue

        @given(case=operation.as_strategy())
        @settings(
            max_examples=MOST,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def ask(case: object) -> None:
            answer = case.call(base_url=address, headers=service.head())  # type: ignore[attr-defined]
            if answer.status_code >= 500 and answer.status_code != 503:
                failed.append(f"{case.method} {case.formatted_path}: {answer.text[:200]}")  # type: ignore[attr-defined]
            kind = answer.headers.get("content-type", [""])[0]
            if answer.status_code >= 400 and not re.match("application/json", kind):
                failed.append(f"{case.method} {case.formatted_path}: {kind}")  # type: ignore[attr-defined]

        ask()
    assert not failed, failed[:5]
    assert service.core.ledger.verify().ok
