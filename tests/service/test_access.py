"""Who may do what: every endpoint with every role, without a key, and with cookies."""

from __future__ import annotations

import re

import pytest

from dense.service.auth import COOKIE
from dense.service.keys import RIGHTS, Right, Role
from tests.service.made import API, Service

OPEN = {"/health/live", "/health/ready", "/metrics"}
CHANGE = re.compile(
    r"^(POST|DELETE|PATCH) (/api/v1/products(?!.*inspect)|/2020-11-20/(?!.*detect))|GET .*/export$"
)
WORK = re.compile(r"POST .*/(inspect|detect|segment)$|.*/feedback$|GET /api/v1/jobs/")
AUDIT = re.compile(r"GET /api/v1/log|.*/report\.")


def endpoints(service: Service) -> list[tuple[str, str]]:
    paths = service.http.app.openapi()["paths"]  # type: ignore[attr-defined]
    return [(m.upper(), path) for path, methods in paths.items() for m in methods]


def right_of(call: str) -> Right:
    if CHANGE.search(call):
        return Right.change
    if WORK.search(call):
        return Right.work
    return Right.audit if AUDIT.search(call) else Right.read


def address(path: str) -> str:
    """An address that matches and finds nothing."""
    values = {"decision_id": "0" * 32, "job_id": "0" * 32, "place": "0", "version": "1"}
    values |= {"kind": "train", "word": "rust"}
    return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], "nothing"), path)


def test_the_rights_of_all_endpoints_are_known(service: Service) -> None:
    """The table above is read from the contract, not from the code."""
    calls = [f"{method} {path}" for method, path in endpoints(service)]
    assert len(calls) > 45
    kinds = {right: sum(right_of(call) is right for call in calls) for right in Right}
    assert all(kinds.values()), kinds


def test_no_endpoint_but_health_and_metrics_answers_without_a_key(service: Service) -> None:
    for method, path in endpoints(service):
        if path in OPEN or (method, path) == ("POST", f"{API}/session"):
            continue
        for head in ({}, {"Authorization": "Bearer dense_0_0"}, {"Authorization": "Basic YTpi"}):
            answer = service.http.request(method, address(path), headers=head)
            assert answer.status_code == 401, (method, path, answer.text)
            assert answer.headers["www-authenticate"] == "Bearer"
            assert set(answer.json()) - {"message"} == {"error", "request_id"}


@pytest.mark.parametrize("role", list(Role))
def test_every_role_gets_what_it_may_and_403_for_the_rest(service: Service, role: Role) -> None:
    for method, path in endpoints(service):
        call = f"{method} {path}"
        if path in OPEN or path.endswith(("/session", "/events")):
            continue
        answer = service.http.request(method, address(path), headers=service.head(role.value))
        refused = right_of(call) not in RIGHTS[role]
        assert (answer.status_code == 403) == refused, (role, call, answer.status_code)
        if refused:
            assert answer.json()["error"] == f"the role {role.value} may not do this"


def test_refusals_are_in_the_log_and_do_not_flood_it(service: Service) -> None:
    before = service.core.ledger.head().seq or 0
    service.core.guard._seen.clear()
    for _ in range(20):
        service.http.get(f"{API}/products", headers={"Authorization": "Bearer dense_1_2"})
    service.http.delete(f"{API}/products/nut", headers=service.head("auditor"))
    entries = service.core.ledger.entries(after=before)
    told = [(entry.kind, entry.content["what"], entry.actor[:7]) for entry in entries]
    assert told[0][:2] == ("refused-request", "wrong key")
    assert told[1] == ("refused-request", "role", "auditor") and len(told) == 2
    assert "dense_1_2" not in str([entry.body for entry in entries])
    numbers = service.http.get("/metrics").text
    assert 'dense_refused_requests_total{what="wrong key"}' in numbers


def test_a_session_needs_its_token_for_changes_and_ends(service: Service) -> None:
    client, url = service.http, f"{API}/session"
    assert client.post(url, json={"key": "dense_0_0"}).status_code == 401
    answer = client.post(url, json={"key": service.keys["engineer"]})
    told = answer.json()
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Path=/" in cookie
    assert told["role"] == "engineer" and service.keys["engineer"] not in answer.text
    assert client.get(url).json() == told
    undo = f"{API}/products/nothing/undo"
    for head in ({}, {"X-CSRF-Token": "0" * 64}, {"X-CSRF-Token": b"\xe9"}):
        refused = client.post(undo, headers=head)  # type: ignore[arg-type]
        assert refused.status_code == 403 and "X-CSRF-Token" in refused.json()["error"]
    token = {"X-CSRF-Token": told["csrf"]}
    assert client.post(undo, headers=token).status_code == 404
    kept = client.cookies[COOKIE]
    assert client.delete(url, headers=token).status_code == 204
    client.cookies.set(COOKIE, kept)
    assert client.get(url).status_code == 401  # the cookie itself is worth nothing any more
    client.cookies.clear()


def test_nobody_is_signed_in_from_another_site(service: Service) -> None:
    body, head = {"key": service.keys["engineer"]}, {"Sec-Fetch-Site": "cross-site"}
    answer = service.http.post(f"{API}/session", json=body, headers=head)
    assert answer.status_code == 403 and "set-cookie" not in answer.headers
    form = {"Content-Type": "text/plain"}  # all that a form of another site can send
    content = f'{{"key": "{service.keys["engineer"]}"}}'
    answer = service.http.post(f"{API}/session", content=content, headers=form)
    assert answer.status_code == 422 and "set-cookie" not in answer.headers


def test_an_operator_may_not_teach_the_product(service: Service) -> None:
    url = f"{API}/decisions/{'0' * 32}/feedback"
    body = {"kind": "false-alarm", "use": "memory"}
    answer = service.http.post(url, json=body, headers=service.head("operator"))
    assert answer.status_code == 403 and "engineer" in answer.json()["error"]
