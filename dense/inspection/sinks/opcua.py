"""An OPC UA server with a node set a product, through asyncua.

``Objects/Dense/PRODUCT`` has one object for each product with read-only variables (`FIELDS`); the
node ids are strings, ``ns=2;s=PRODUCT.Verdict``. `Sequence` is written last: a client that
subscribes to it reads a consistent set, and sees by a gap that it missed one. Variables show a
state; a client that must have every result and cannot keep up takes MQTT or a webhook beside.
"""

from __future__ import annotations

import contextlib
import hmac
import logging
import os
import socket
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from dense.errors import InputError, MissingDependencyError
from dense.inspection.sinks.address import Address
from dense.inspection.sinks.base import DeliveryError, Message, Sink
from dense.inspection.sinks.serving import LoopThread

try:
    from asyncua import Server, ua
    from asyncua.common.node import Node
    from asyncua.crypto.permission_rules import User, UserRole
    from asyncua.server.internal_server import InternalServer
    from asyncua.server.user_managers import UserManager
except ImportError as error:  # pragma: no cover
    raise MissingDependencyError("OPC UA needs asyncua: pip install 'dense-clip[line]'") from error

NAMESPACE = "urn:dense:inspection"
FIELDS = {
    "Id": ua.VariantType.String,
    "Verdict": ua.VariantType.String,
    "Good": ua.VariantType.Boolean,
    "Score": ua.VariantType.Double,
    "Threshold": ua.VariantType.Double,
    "Defects": ua.VariantType.UInt32,
    "Reasons": ua.VariantType.String,
    "Source": ua.VariantType.String,
    "JudgedAt": ua.VariantType.DateTime,
    "Version": ua.VariantType.UInt32,
    "Json": ua.VariantType.String,
    "Total": ua.VariantType.UInt64,
    "Rejected": ua.VariantType.UInt64,
    "Refused": ua.VariantType.UInt64,
    "Sequence": ua.VariantType.UInt64,
}
"""Variables of a product in the order in which they are written; Total, Rejected and Refused count
since the server's start."""


class OpcUaSink(Sink):
    """Serves the last decision of each product.

    Args:
        host: Address to listen on.
        port: To listen on.
        path: Of the endpoint.
        login: User and password that clients must give; ``None`` lets anybody read.
        certificate: With `key`: clients must sign and encrypt.
        key: Private key of the certificate.
    """

    batch = 16

    def __init__(
        self,
        host: str,
        port: int,
        path: str = "dense",
        *,
        login: tuple[str, str] | None = None,
        certificate: Path | None = None,
        key: Path | None = None,
    ) -> None:
        self._address = (host, port)
        self.endpoint = f"opc.tcp://{host}:{port}/{path}"
        self.name = f"opcua://{host}:{port}/{path}"
        self._login, self._certificate, self._key = login, certificate, key
        self._thread: LoopThread | None = None
        self._server: Server | None = None
        self._nodes: dict[str, dict[str, Node]] = {}
        self._counts: dict[str, dict[str, int]] = {}
        self._last = 0

    def open(self, product: str) -> None:
        thread = self._thread or self._start()
        if product not in self._nodes:
            thread.run(self._add(product))

    def deliver(self, messages: Sequence[Message]) -> None:
        thread = self._thread or self._start()
        done = 0
        try:
            for message in messages:
                thread.run(self._show(message))
                done += 1
        except (OSError, TimeoutError, ua.UaError) as error:
            raise DeliveryError(f"the server fails: {error}", done=done) from error

    def close(self) -> None:
        if self._thread is not None:
            if self._server is not None:
                with contextlib.suppress(Exception):
                    self._thread.run(self._server.stop())
            self._thread.close()
        self._thread = self._server = None
        self._nodes.clear()

    def _start(self) -> LoopThread:
        logging.getLogger("asyncua").setLevel(logging.CRITICAL)
        self._check_free()
        self._thread = thread = LoopThread("opcua")
        try:
            thread.run(self._serve(), timeout=60)
            return thread
        except (OSError, TimeoutError, RuntimeError, ua.UaError) as error:
            self.close()
            raise DeliveryError(f"cannot listen at {self.endpoint}: {error}") from error

    def _check_free(self) -> None:
        """Look whether the port is free first: building the server takes seconds."""
        try:
            socket.create_server(self._address).close()
        except OSError as error:
            raise DeliveryError(f"cannot listen at {self.endpoint}: {error}") from error

    async def _serve(self) -> None:
        server = Server(user_manager=_Users(self._login))
        await server.init()
        server.set_endpoint(self.endpoint)
        server.set_server_name("dense inspection")
        await server.set_application_uri("urn:dense:server")
        server.allow_remote_admin(False)
        policy = [ua.SecurityPolicyType.NoSecurity]
        if self._certificate is not None and self._key is not None:
            await server.load_certificate(self._certificate)
            await server.load_private_key(self._key)
            policy = [ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt]
        server.set_security_policy(policy)
        token: type = ua.UserNameIdentityToken if self._login else ua.AnonymousIdentityToken
        server.set_identity_tokens([token])
        self._space = await server.register_namespace(NAMESPACE)
        self._folder = await server.nodes.objects.add_folder(
            self._node_id("Dense"), ua.QualifiedName("Dense", self._space)
        )
        await server.start()
        self._server = server

    async def _show(self, message: Message) -> None:
        nodes = self._nodes.get(message.product) or await self._add(message.product)
        counts = self._counts.setdefault(message.product, dict.fromkeys(_COUNTED, 0))
        if message.sequence > self._last:
            for name, verdict in _COUNTED.items():
                counts[name] += verdict in ("", message.body["verdict"])
            self._last = message.sequence
        values = {**_values(message), **counts}
        now = ua.DateTime.now(timezone.utc)
        for name, kind in FIELDS.items():
            value = ua.DataValue(ua.Variant(values[name], kind), SourceTimestamp=now)
            await nodes[name].write_value(value)

    def _node_id(self, name: str) -> ua.NodeId:
        return ua.NodeId.from_string(f"ns={self._space};s={name}")

    async def _add(self, product: str) -> dict[str, Node]:
        parent = await self._folder.add_object(
            self._node_id(product), ua.QualifiedName(product, self._space)
        )
        nodes = {}
        for name, kind in FIELDS.items():
            nodes[name] = await parent.add_variable(
                self._node_id(f"{product}.{name}"),
                ua.QualifiedName(name, self._space),
                _EMPTY[kind],
                varianttype=kind,
            )
        self._nodes[product] = nodes
        return nodes


class _Users(UserManager):
    """Lets in whoever has the login, or anybody to read if there is none; nobody may write."""

    def __init__(self, login: tuple[str, str] | None) -> None:
        self._login = login

    def get_user(
        self,
        iserver: InternalServer,
        username: str | None = None,
        password: str | bytes | None = None,
        certificate: object = None,
    ) -> User | None:
        if self._login is None:
            return User(role=UserRole.User)
        given = password.encode() if isinstance(password, str) else password or b""
        right = hmac.compare_digest((username or "").encode(), self._login[0].encode())
        right &= hmac.compare_digest(given, self._login[1].encode())
        return User(role=UserRole.User) if right else None


_COUNTED = {"Total": "", "Rejected": "reject", "Refused": "refused"}
_EMPTY: dict[ua.VariantType, object] = {
    ua.VariantType.String: "",
    ua.VariantType.Boolean: False,
    ua.VariantType.Double: float("nan"),
    ua.VariantType.UInt32: 0,
    ua.VariantType.UInt64: 0,
    ua.VariantType.DateTime: datetime(1601, 1, 1, tzinfo=timezone.utc),
}


def _values(message: Message) -> dict[str, object]:
    body = message.body
    defects, reasons = body.get("defects"), body.get("reasons")
    numbers = {
        name: float("nan") if body.get(name) is None else float(str(body[name]))
        for name in ("score", "threshold")
    }
    return {
        "Id": message.id,
        "Verdict": body["verdict"],
        "Good": body["verdict"] == "pass",
        "Score": numbers["score"],
        "Threshold": numbers["threshold"],
        "Defects": len(defects) if isinstance(defects, list) else 0,
        "Reasons": " ".join(r["text"] for r in reasons) if isinstance(reasons, list) else "",
        "Source": str(body["source"]),
        "JudgedAt": datetime.fromisoformat(str(body["judged_at"])).astimezone(timezone.utc),
        "Version": int(str(body.get("version", 0))),
        "Json": message.text,
        "Sequence": message.sequence,
    }


def build(address: Address) -> OpcUaSink:
    """``opcua://host:port/path``; options ``certificate``, ``key``.

    Secrets ``OPCUA_USERNAME``, ``OPCUA_PASSWORD``.
    """
    host, port, path = address.endpoint(4840)
    files = {name: address.text(name) for name in ("certificate", "key")}
    if bool(files["certificate"]) != bool(files["key"]):
        raise InputError(f"{address.name}: certificate= and key= go together")
    for name, file in files.items():
        if file and not os.access(file, os.R_OK):
            raise InputError(f"{address.name}: cannot read the {name} {file}")
    user, password = address.secret("USERNAME"), address.secret("PASSWORD")
    if bool(user) != bool(password):
        raise InputError(f"{address.name}: OPCUA_USERNAME and OPCUA_PASSWORD go together")
    if user and not files["certificate"] and host not in ("localhost", "127.0.0.1", "::1"):
        raise InputError(
            f"{address.name}: a login would cross the network unencrypted, give "
            "#certificate=FILE&key=FILE"
        )
    return OpcUaSink(
        host,
        port,
        path or "dense",
        login=(user, password) if user and password else None,
        certificate=Path(files["certificate"]) if files["certificate"] else None,
        key=Path(files["key"]) if files["key"] else None,
    )
