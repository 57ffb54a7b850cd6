"""Live events, the log over HTTP, headers, metrics and logs."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator

import pytest

from dense.service import events as module
from dense.service.errors import BusyError
from dense.service.events import Events
from dense.service.logs import JSONFormatter, blot
from dense.service.routers.events import show
from tests.inspection.products import part, scratched
from tests.service.made import API, Service, run

Event = tuple[str, str, dict]


def parse(parts: list[bytes]) -> list[Event]:
    """(id, kind, data) of events."""
    found = []
    for text in b"".join(parts).decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in text.splitlines() if not line.startswith(":"))
        if "data" in fields:
            found.append((fields["id"], fields["event"], json.loads(fields["data"])))
    return found


async def listen(
    service: Service, after: int | None, count: int, sent: list[object]
) -> list[Event]:
    """Events until there are so many; pictures are sent once it listens."""
    stream: AsyncIterator[bytes] = service.core.events.stream(after, show)
    parts = [await anext(stream)]
    for image in sent:
        await asyncio.to_thread(service.inspect, image)  # type: ignore[arg-type]
    while len(parse(parts)) < count:
        parts.append(await asyncio.wait_for(anext(stream), 10))
    return parse(parts)


def test_a_listener_hears_of_decisions_as_they_are_made(service: Service) -> None:
    heard = run(listen(service, None, 2, [scratched(30), part(11)]))
    assert [(kind, data["verdict"]) for _, kind, data in heard] == [
        ("decision", "reject"),
        ("decision", "pass"),
    ]
    number, _, data = heard[0]
    url = f"{API}/decisions/{data['id']}"
    assert service.http.get(url, headers=service.head()).json() == {
        **data,
        "distance": data.get("distance"),
    }
    assert int(number) == data["seq"]


def test_a_listener_that_was_away_misses_nothing(service: Service) -> None:
    place = service.core.ledger.head().seq or 0
    first = service.inspect(part(12))
    url = f"{API}/decisions/{first['id']}/feedback"
    service.http.post(url, json={"kind": "right"}, headers=service.head())
    second = service.inspect(part(13))
    heard = run(listen(service, place, 3, []))
    assert [kind for _, kind, _ in heard] == ["decision", "feedback", "decision"]
    assert [heard[0][2]["id"], heard[2][2]["id"]] == [first["id"], second["id"]]
    assert heard[1][2]["decision"] == first["id"] and heard[1][2]["name"] == "nut"


def test_streams_end_with_the_service_and_are_not_without_number(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = Events(service.core.ledger, most=1)
    events.join()
    with pytest.raises(BusyError, match="1 event streams"):
        events.join()
    events.leave()
    events.join()
    monkeypatch.setattr(module, "LOOK", 0.01)
    monkeypatch.setattr(module, "SILENCE", 0.02)

    async def until_end() -> list[bytes]:
        parts = []
        async for part_ in events.stream(None, show):
            parts.append(part_)
            events.ending = len(parts) == 3
        return parts

    assert run(until_end()) == [b"retry: 2000\n\n", *[b": still here\n\n"] * 2]


def test_the_log_is_read_and_verified_over_http(service: Service) -> None:
    service.inspect(part(14))
    head = service.head("auditor")
    page = service.http.get(f"{API}/log?limit=2", headers=head).json()
    assert [one["seq"] for one in page["items"]] == [1, 2] and page["next"] == 2
    after = service.http.get(f"{API}/log?after=2", headers=head).json()["items"]
    assert after[0]["previous_hash"] == page["items"][1]["hash"]
    told = service.http.get(f"{API}/log/verify", headers=head).json()
    assert told["ok"] and told["head_hash"] == service.core.ledger.head().hash


def test_every_answer_has_its_headers(service: Service) -> None:
    for path in ("/", "/health/live", f"{API}/products", "/nowhere", "/page/../../settings.py"):
        answer = service.http.get(path, headers={"X-Request-ID": "line-7"})
        assert answer.headers["x-request-id"] == "line-7"
        assert answer.headers["x-frame-options"] == "DENY"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert "strict-transport-security" not in answer.headers  # this one is plain HTTP
        if answer.status_code >= 400:
            assert answer.json()["request_id"] == "line-7"
    forged = service.http.get("/health/live", headers={"X-Request-ID": 'a"\t{evil}'})
    assert forged.headers["x-request-id"].isalnum()
    assert service.http.put("/health/live").status_code == 405


def test_an_unexpected_error_is_a_plain_500_and_stands_in_the_log(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise RuntimeError("a secret of the house")

    monkeypatch.setattr(service.core.registry, "names", broken)
    logger = logging.getLogger("dense")
    monkeypatch.setattr(logger, "propagate", True)
    answer = service.http.get(f"{API}/products", headers=service.head())
    assert answer.status_code == 500 and "secret" not in answer.text
    assert answer.headers["x-frame-options"] == "DENY"
    assert "a secret of the house" in caplog.text


def test_logs_are_json_lines_without_secrets(service: Service) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JSONFormatter())
    logger = logging.getLogger("dense.service.requests")
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    key = service.keys["operator"]
    try:
        service.http.get(f"{API}/products?key={key}", headers=service.head("operator"))
        logger.error("somebody wrote %s and dense-session=abc123; into a message\nof two", key)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (first["path"], first["status"]) == (f"{API}/products", 200)
    assert first["actor"].startswith("operator (") and first["seconds"] >= 0
    assert key not in stream.getvalue() and "abc123" not in second["text"]
    assert blot(f"a {key} b") == "a dense_… b"


def test_numbers_for_prometheus(service: Service) -> None:
    def value(line: str) -> float:
        text = service.http.get("/metrics").text
        return next(float(row.split()[-1]) for row in text.splitlines() if row.startswith(line))

    name = 'dense_decisions_total{product="nut",verdict="reject"}'
    service.inspect(scratched(30))
    before = value(name)
    service.inspect(scratched(30))
    assert value(name) == before + 1
    route = (
        'dense_requests_total{method="POST",route="/api/v1/products/{name}/inspect",status="200"}'
    )
    assert value(route) >= 2 and value("dense_batch_size_count") >= 2
    assert "dense_queue 0.0" in service.http.get("/metrics").text


def test_health(service: Service) -> None:
    assert service.core.warm.wait(20)
    assert service.http.get("/health/live").json()["status"] == "live"
    assert service.http.get("/health/ready").json()["status"] == "ready"
    service.core.judging.broken = "judging fails: RuntimeError: gone"
    try:
        assert service.http.get("/health/live").status_code == 503
    finally:
        service.core.judging.broken = ""
    service.core.warm.clear()
    try:
        assert service.http.get("/health/ready").status_code == 503
    finally:
        service.core.warm.set()
