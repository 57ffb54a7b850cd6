"""MQTT 3.1.1 through paho-mqtt; a decision counts as delivered when the broker has confirmed it."""

from __future__ import annotations

import secrets
import ssl
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dense.errors import InputError, MissingDependencyError
from dense.inspection.sinks.address import Address
from dense.inspection.sinks.base import DeliveryError, Message, Sink

if TYPE_CHECKING:
    from paho.mqtt.client import Client

try:
    import paho.mqtt.client as paho
except ImportError as error:  # pragma: no cover
    raise MissingDependencyError("MQTT needs paho-mqtt: pip install 'dense-clip[line]'") from error


class MqttSink(Sink):
    """Publishes decisions to one topic with quality of service 1 or 2.

    Messages in flight together keep their order. After any trouble the connection is thrown away
    with what the client library still held, and the journal's oldest is sent again: a receiver
    may see an id twice, never a gap.

    Args:
        host: The broker.
        port: Its port.
        topic: Where to; ``{product}`` and ``{verdict}`` are filled in.
        qos: 1 (at least once) or 2 (exactly once between us and the broker).
        retain: Whether the broker keeps the last one for newcomers.
        login: User and password.
        tls: ``None`` for a plain connection.
        client_id: Of the connection; drawn at random if "".
        timeout: Seconds to wait for the connection and for confirmations.
    """

    batch = 20

    def __init__(
        self,
        host: str,
        port: int,
        topic: str,
        *,
        qos: int = 1,
        retain: bool = False,
        login: tuple[str, str | None] | None = None,
        tls: ssl.SSLContext | None = None,
        client_id: str = "",
        timeout: float = 10.0,
    ) -> None:
        self.host, self.port, self.topic = host, port, topic
        self.name = f"mqtt://{host}:{port}/{topic}"
        self.qos, self.retain, self.timeout = qos, retain, timeout
        self._login, self._tls = login, tls
        self._client_id = client_id or f"dense-{secrets.token_hex(6)}"
        self._client: Client | None = None

    def deliver(self, messages: Sequence[Message]) -> None:
        done = 0
        try:
            client = self._client or self._connect()
            sent = [self._publish(client, message) for message in messages]
            until = time.monotonic() + self.timeout
            for handle in sent:
                while not handle.is_published():
                    if not client.is_connected():
                        raise DeliveryError("the broker closed the connection", done=done)
                    if time.monotonic() > until:
                        raise DeliveryError("the broker does not confirm", done=done)
                    handle.wait_for_publish(0.2)
                done += 1
        except (OSError, ValueError, RuntimeError) as error:
            self.close()
            raise DeliveryError(f"no connection: {error}", done=done) from error
        except DeliveryError:
            self.close()
            raise

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()

    def _publish(self, client: Client, message: Message) -> paho.MQTTMessageInfo:
        topic = self.topic
        for key in ("product", "verdict"):
            topic = topic.replace(f"{{{key}}}", _level(str(message.body[key])))
        return client.publish(topic, message.text.encode(), self.qos, self.retain)

    def _connect(self) -> Client:
        client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, self._client_id, reconnect_on_failure=False
        )
        client.connect_timeout = self.timeout
        if self._login is not None:
            client.username_pw_set(*self._login)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        answers: list[str] = []

        def answered(_c: object, _u: object, _f: object, reason: object, _p: object) -> None:
            answers.append(str(reason))

        client.on_connect = answered
        client.connect(self.host, self.port, keepalive=30)
        client.loop_start()
        self._client = client
        until = time.monotonic() + self.timeout
        while not answers and time.monotonic() < until:
            time.sleep(0.01)
        if not client.is_connected():
            raise DeliveryError(f"the broker says: {answers[0] if answers else 'nothing'}")
        return client


def build(address: Address) -> MqttSink:
    """``mqtt://host:port/topic``; options ``qos``, ``retain``, ``client_id``, ``timeout``, ``ca``.

    Secrets ``MQTT_USERNAME``, ``MQTT_PASSWORD``; with ``mqtts://`` also the files
    ``MQTT_CERTIFICATE`` and ``MQTT_KEY`` of this client.
    """
    host, port, topic = address.endpoint(8883 if address.kind == "mqtts" else 1883)
    if not topic:
        raise InputError(f"MQTT is written mqtt://host:port/topic, got {address.name!r}")
    if "+" in topic or topic.startswith("$") or "\0" in topic:
        raise InputError(f"nothing can be published to the topic {topic!r}: it has a wildcard")
    tls, user = None, address.secret("USERNAME")
    authority = address.text("ca") or None
    if address.kind == "mqtts":
        tls = _tls(address, authority)
    elif authority or (user and host not in ("localhost", "127.0.0.1", "::1")):
        raise InputError(
            f"{address.name}: a login or an authority needs TLS, write mqtts:// (port 8883)"
        )
    return MqttSink(
        host,
        port,
        topic,
        qos=int(address.number("qos", 1, 1, 2)),
        retain=address.flag("retain"),
        login=(user, address.secret("PASSWORD")) if user else None,
        tls=tls,
        client_id=address.text("client_id"),
        timeout=address.number("timeout", 10, 0.5, 600),
    )


def _tls(address: Address, authority: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=authority)
        certificate = address.secret("CERTIFICATE")
        if certificate:
            context.load_cert_chain(certificate, address.secret("KEY"))
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"{address.name}: cannot load the certificates: {error}") from error
    return context


def _level(text: str) -> str:
    """A name as one level of a topic."""
    return "".join("_" if letter in "/+#\0" else letter for letter in text)
