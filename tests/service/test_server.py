"""A real server: slow clients, HTTPS, and the Python client on it."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dense.errors import InputError
from dense.inspection.store.registry import Registry
from dense.service.app import create_app
from dense.service.client import Client, ServiceError
from dense.service.keys import KeyStore, Role
from dense.service.server import Place, bind, make_config
from dense.service.settings import Settings
from tests.inspection.line import free_port
from tests.inspection.products import part, scratched
from tests.service.made import LIMITS, add_product, make_core, png


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("home")
    core = make_core(place)
    add_product(core)
    core.registry.close()
    return place


@pytest.fixture(scope="module")
def key(home: Path) -> str:
    return KeyStore(Registry(home).database).add("line", Role.engineer)[0]


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 by itself, and its key."""
    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(secret.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(secret, hashes.SHA256())
    )
    certificate, keyfile = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    keyfile.write_bytes(
        secret.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate, keyfile


@pytest.fixture(scope="module")
def secure(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """An HTTPS server in a thread: its address and the certificate to trust."""
    certificate, keyfile = make_certificate(tmp_path_factory.mktemp("tls"))
    limits = replace(LIMITS, head_seconds=0.5, upload_seconds=3.0)
    core = make_core(home, secure=True, limits=limits)
    place = Place(port=free_port(), certificate=certificate, key=keyfile)
    config = make_config(core.settings, place, lambda: create_app(core.settings, core), log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([bind(place)],), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"https://127.0.0.1:{place.port}", certificate
    server.should_exit = True
    thread.join(30)


@pytest.fixture
def client(secure: tuple[str, Path], key: str) -> Iterator[Client]:
    with Client(secure[0], key, verify=secure[1], patience=5.0) as made:
        yield made


def test_the_client_does_all_that_a_line_needs(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "bad.png"
    path.write_bytes(png(scratched(30)))
    bad = client.inspect("nut", path, source="part-1")
    fine = client.inspect("nut", png(part(11)))
    assert (bad.verdict, fine.verdict, bad.source) == ("reject", "pass", "part-1")
    accepted = client.submit("nut", path)
    assert client.wait_for(accepted.id).defects[0].box == bad.defects[0].box
    assert client.decision(bad.id) == bad and client.picture(bad.id) == path.read_bytes()
    assert client.picture(bad.id, "map.png").startswith(b"\x89PNG")
    found = list(client.decisions(product="nut", verdict="reject"))
    assert {bad.id, accepted.id} <= {one.id for one in found}
    said = client.give_feedback(bad.id, "right", note="seen").feedback
    assert said is not None and said.note == "seen"
    assert client.undo_feedback(bad.id).feedback is None and client.verify_log().ok
    assert "nut" in {one.name for one in client.products()}


def test_the_client_makes_products(client: Client, tmp_path: Path) -> None:
    paths = []
    for seed in range(1, 9):
        paths.append(tmp_path / f"{seed}.png")
        paths[-1].write_bytes(png(part(seed)))
    made = client.create_product(
        "bolt", paths[:3], words="bolt", look_for=["rust"], method="patch", mm_per_pixel=0.25
    )
    assert made.look_for == ["rust"] and made.mm_per_pixel == 0.25
    assert client.calibrate("bolt", 0.25, good=paths[3:]).good_parts == 5
    assert client.calibrate("bolt", 0.5).guarantee.alpha == 0.5  # type: ignore[union-attr]
    assert client.recalibrate("bolt").guarantee.parts == 5  # type: ignore[union-attr]
    assert client.calibration("bolt").parts == 5 and client.product("bolt").support_count == 3
    client.delete_product("bolt")
    with pytest.raises(ServiceError, match="bolt") as refused:
        client.product("bolt")
    assert refused.value.status == 404 and len(refused.value.request_id) == 16


def test_the_client_hears_events_and_goes_on_after_a_break(client: Client) -> None:
    one = client.inspect("nut", png(part(11)))
    kind, data = next(client.events(after=one.seq - 1))
    assert kind == "decision" and data["id"] == one.id


def test_the_client_tries_again_only_what_is_safe() -> None:
    calls: list[str] = []

    def flaky(request: httpx.Request) -> httpx.Response:
        calls.append(request.headers.get("idempotency-key", ""))
        if len(calls) == 1:
            return httpx.Response(503, headers={"Retry-After": "0"}, json={"error": "busy"})
        if len(calls) == 2:
            raise httpx.ReadError("lost")
        return httpx.Response(202, json={"id": "0" * 32, "status_url": "/x"})

    with Client("http://x", "k", transport=httpx.MockTransport(flaky), patience=5.0) as client:
        assert client.submit("nut", b"picture").id == "0" * 32
        assert len(calls) == 3 and len(set(calls)) == 1 and calls[0]  # one part all the time
        calls[:] = [""]  # the next call breaks off
        with pytest.raises(ServiceError, match="no answer"):
            client.recalibrate("nut")
        assert len(calls) == 2


def test_https_cookies_and_headers_are_for_https_alone(secure: tuple[str, Path], key: str) -> None:
    import ssl

    trusted = ssl.create_default_context(cafile=str(secure[1]))
    with httpx.Client(base_url=secure[0], verify=trusted) as http:
        answer = http.post("/api/v1/session", json={"key": key})
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-dense-session=") and "Secure" in cookie
        assert "max-age=" in answer.headers["strict-transport-security"]
        assert http.get("/api/v1/session").json()["role"] == "engineer"
    with pytest.raises(httpx.ConnectError, match="certificate"):
        httpx.get(secure[0])


def talk(address: str, certificate: Path, parts: list[bytes], pause: float) -> bytes:
    """Send parts of a request slowly and read until the server closes."""
    import ssl

    host, port = address.removeprefix("https://").split(":")
    context = ssl.create_default_context(cafile=str(certificate))
    heard = b""
    with (
        socket.create_connection((host, int(port)), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=host) as link,
    ):
        try:
            for one in parts:
                link.sendall(one)
                time.sleep(pause)
            while block := link.recv(4096):
                heard += block
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            pass
    return heard


def test_a_client_that_never_ends_its_head_is_let_go(secure: tuple[str, Path]) -> None:
    begun = time.monotonic()
    heads = [b"GET /health/live HTTP/1.1\r\n", *[f"X-{n}: y\r\n".encode() for n in range(20)]]
    assert talk(*secure, heads, 0.1) == b""
    assert time.monotonic() - begun < 5
    assert talk(*secure, [b""], 0.0) == b""  # one that says nothing at all, too
    fine = talk(*secure, [b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"], 0)
    assert b"200 OK" in fine


def test_a_client_that_uploads_too_slowly_is_told_and_let_go(
    secure: tuple[str, Path], key: str
) -> None:
    head = (
        "POST /api/v1/products/nut/inspect HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
        f"Authorization: Bearer {key}\r\nContent-Length: 1000\r\n\r\n"
    )
    heard = talk(*secure, [head.encode(), *[b"x"] * 3], 0.1)
    assert b"408" in heard and b"connection: close" in heard.lower()


def test_places_that_cannot_be_listened_on(tmp_path: Path) -> None:
    taken = bind(Place(port=0))
    taken.listen()
    port = taken.getsockname()[1]
    with pytest.raises(InputError, match=f"cannot listen on 127.0.0.1:{port}"):
        bind(Place(port=port))
    with pytest.raises(InputError, match="no such file"):
        make_config(Settings(), Place(certificate=tmp_path / "none.pem"))
    taken.close()
