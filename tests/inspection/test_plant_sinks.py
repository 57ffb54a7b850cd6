"""MQTT, OPC UA and Modbus, each against a real other side."""

from __future__ import annotations

import asyncio
import getpass
import json
import shutil
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest

from dense.errors import InputError
from dense.inspection.backoff import Backoff
from dense.inspection.outbox import Courier, Journal
from dense.inspection.secrets import Secrets
from dense.inspection.sinks import DeliveryError, open_sink
from tests.inspection.line import body, free_port, message

paho = pytest.importorskip("paho.mqtt.client")
asyncua = pytest.importorskip("asyncua")
modbus = pytest.importorskip("pymodbus.client")

NONE = Secrets(environment={})
MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


class Broker:
    """Mosquitto that keeps what it confirmed, also for a subscriber that is away."""

    def __init__(self, folder: Path, extra: str = "allow_anonymous true\n") -> None:
        self.folder, self.port = folder, free_port()
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
        self.config = folder / "mosquitto.conf"
        self.config.write_text(f"user {getpass.getuser()}\nlistener {self.port} 127.0.0.1\n{extra}")

    def start(self) -> None:
        self.process = subprocess.Popen(
            [str(MOSQUITTO), "-c", str(self.config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(200):
            probe = paho.Client(paho.CallbackAPIVersion.VERSION2)
            try:
                probe.connect("127.0.0.1", self.port)
                probe.disconnect()
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("mosquitto does not start")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Listener:
    """Collects what arrives under ``line/#``."""

    def __init__(self, port: int, **login: str) -> None:
        self.got: list[tuple[str, dict]] = []
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        if login:
            self.client.username_pw_set(**login)
        ready = threading.Event()
        self.client.on_connect = lambda c, *_: c.subscribe("line/#", qos=1)
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.on_message = lambda _c, _u, m: self.got.append((m.topic, json.loads(m.payload)))
        self.client.reconnect_delay_set(1, 1)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert ready.wait(5)

    def wait(self, count: int, seconds: float = 5.0) -> list[dict]:
        until = time.monotonic() + seconds
        while len(self.got) < count and time.monotonic() < until:
            time.sleep(0.01)
        return [entry for _, entry in self.got]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def broker(tmp_path):
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
    made = Broker(tmp_path / "broker")
    made.start()
    yield made
    made.stop()


def test_mqtt_publishes_in_order_to_topics_of_the_decision(broker):
    listener = Listener(broker.port)
    sink = open_sink(f"mqtt://127.0.0.1:{broker.port}/line/{{product}}/{{verdict}}", NONE)
    sink.deliver([message(n, "reject" if n % 2 else "pass") for n in range(1, 21)])
    got = listener.wait(20)
    assert got == [message(n, "reject" if n % 2 else "pass").body for n in range(1, 21)]
    assert {topic for topic, _ in listener.got} == {"line/nut/reject", "line/nut/pass"}
    sink.close()
    listener.close()


def test_mqtt_retained_for_newcomers(broker):
    sink = open_sink(f"mqtt://127.0.0.1:{broker.port}/line/last#retain=yes&qos=2", NONE)
    sink.deliver([message(1), message(2)])
    sink.close()
    listener = Listener(broker.port)
    assert listener.wait(1) == [message(2).body]
    listener.close()


def test_mqtt_broker_down_for_a_while_loses_nothing_and_keeps_the_order(broker, tmp_path):
    journal = Journal(tmp_path / "state")
    sink = open_sink(f"mqtt://127.0.0.1:{broker.port}/line/nut#timeout=2", NONE)
    courier = Courier(journal, sink, product="nut", backoff=Backoff(first=0.05, longest=0.2))
    listener = Listener(broker.port)
    courier.start()
    for number in range(5):
        journal.record(body(number), {sink.name: ()})
    assert len(listener.wait(5)) == 5
    listener.close()
    broker.stop()
    for number in range(5, 30):
        journal.record(body(number), {sink.name: ()})
    time.sleep(0.5)
    assert journal.waiting() == {sink.name: 25} and courier.problem
    broker.start()
    again = Listener(broker.port)
    deadline = time.monotonic() + 10
    while journal.waiting() and time.monotonic() < deadline:
        time.sleep(0.02)
    courier.finish(1.0)
    courier.join(5.0)
    seen = [entry["id"] for entry in listener.wait(5) + again.wait(1)]
    missed = {body(n)["id"] for n in range(30)} - set(seen)
    journal.close()
    again.close()
    # what was confirmed before our listener was back went to nobody; the rest came in order
    assert courier.delivered == 30 and not courier.problem
    assert len(missed) <= 20
    order = list(dict.fromkeys(seen))
    assert order == sorted(order, key=[body(n)["id"] for n in range(30)].index)


def test_mqtt_login(tmp_path):
    if MOSQUITTO is None or shutil.which("mosquitto_passwd") is None:
        pytest.skip("mosquitto is not installed")
    passwords = tmp_path / "passwords"
    make = ["mosquitto_passwd", "-b", "-c", str(passwords), "me", "pw"]
    subprocess.run(make, check=True, capture_output=True)
    passwords.chmod(0o644)
    tmp_path.chmod(0o755)
    broker = Broker(tmp_path / "b", f"allow_anonymous false\npassword_file {passwords}\n")
    broker.start()
    try:
        address = f"mqtt://127.0.0.1:{broker.port}/line/nut#timeout=2"
        with pytest.raises(DeliveryError, match="the broker says: Not authorized"):
            open_sink(address, NONE).deliver([message(1)])
        login = {"DENSE_MQTT_USERNAME": "me", "DENSE_MQTT_PASSWORD": "pw"}
        listener = Listener(broker.port, username="me", password="pw")
        sink = open_sink(address, Secrets(environment=login))
        sink.deliver([message(1)])
        assert listener.wait(1) == [message(1).body]
        sink.close()
        listener.close()
    finally:
        broker.stop()


def test_mqtt_no_broker():
    sink = open_sink(f"mqtt://127.0.0.1:{free_port()}/line", NONE)
    with pytest.raises(DeliveryError, match="no connection"):
        sink.deliver([message(1)])


@pytest.fixture(scope="module")
def opcua_sink():
    """One server for the module: it takes seconds to start. The port is taken at first."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        sink = open_sink(f"opcua://127.0.0.1:{taken.getsockname()[1]}/dense", NONE)
        with pytest.raises(DeliveryError, match="cannot listen"):
            sink.open("nut")
    sink.open("nut")
    yield sink
    sink.close()


async def read_all(url: str, product: str = "nut") -> dict[str, object]:
    async with asyncua.Client(url) as client:
        space = await client.get_namespace_index("urn:dense:inspection")
        assert space == 2  # clients write it into their node ids
        node = await client.nodes.objects.get_child([f"{space}:Dense", f"{space}:{product}"])
        children = await node.get_children()
        names = [(await child.read_browse_name()).Name for child in children]
        values = [await child.read_value() for child in children]
        return dict(zip(names, values, strict=True))


def test_opcua_shows_the_last_decision_to_a_real_client(opcua_sink):
    empty = asyncio.run(read_all(opcua_sink.endpoint))
    assert empty["Verdict"] == "" and empty["Sequence"] == 0
    reasons = [{"text": "one defect"}]
    last = message(2, "reject", reasons=reasons, defects=[{"box": [0, 0, 1, 1]}], score=0.75)
    opcua_sink.deliver([message(1), last])
    got = asyncio.run(read_all(opcua_sink.endpoint))
    assert got["Id"] == last.id and got["Verdict"] == "reject" and got["Good"] is False
    assert (got["Score"], got["Threshold"], got["Defects"]) == (0.75, 0.5, 1)
    assert (got["Total"], got["Rejected"], got["Refused"], got["Sequence"]) == (2, 1, 0, 2)
    assert got["Reasons"] == "one defect" and json.loads(got["Json"]) == last.body
    assert got["JudgedAt"].isoformat().startswith("2026-01-02T03:04:05")
    opcua_sink.deliver([last])  # again, after a lost mark
    assert asyncio.run(read_all(opcua_sink.endpoint))["Total"] == 2


def test_opcua_subscribers_hear_every_decision_and_nobody_can_write(opcua_sink):
    class Heard:
        def __init__(self) -> None:
            self.values: list[int] = []

        def datachange_notification(self, _node, value, _data):
            self.values.append(value)

    async def watch() -> list[int]:
        async with asyncua.Client(opcua_sink.endpoint) as client:
            space = await client.get_namespace_index("urn:dense:inspection")
            node = client.get_node(f"ns={space};s=nut.Sequence")
            heard = Heard()
            subscription = await client.create_subscription(20, heard)
            await subscription.subscribe_data_change(node, queuesize=50)
            loop = asyncio.get_running_loop()
            entries = [message(n) for n in range(11, 21)]
            await loop.run_in_executor(None, opcua_sink.deliver, entries)
            for _ in range(200):
                if heard.values[-1:] == [20]:
                    break
                await asyncio.sleep(0.02)
            with pytest.raises(asyncua.ua.UaError, match=r"write|BadNotWritable|BadUserAccess"):
                await client.get_node(f"ns={space};s=nut.Verdict").write_value("pass")
            return heard.values

    assert asyncio.run(watch())[1:] == list(range(11, 21))


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate and its key."""
    from asyncua.crypto.cert_gen import setup_self_signed_certificate
    from cryptography.x509.oid import ExtendedKeyUsageOID as Use

    files = folder / f"{name}.der", folder / f"{name}.pem"
    uses = [Use.CLIENT_AUTH, Use.SERVER_AUTH]
    make = setup_self_signed_certificate(
        files[1], files[0], f"urn:{name}", "127.0.0.1", uses, {"commonName": name}
    )
    asyncio.run(make)
    return files


def test_opcua_login_over_a_signed_and_encrypted_connection(tmp_path):
    from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256

    own, key = certificate(tmp_path, "server")
    login = {"DENSE_OPCUA_USERNAME": "me", "DENSE_OPCUA_PASSWORD": "pw"}
    address = f"opcua://127.0.0.1:{free_port()}/dense#certificate={own}&key={key}"
    sink = open_sink(address, Secrets(environment=login))
    sink.open("nut")
    theirs = certificate(tmp_path, "client")

    async def come(user: str, password: str, *, encrypted: bool = True) -> None:
        client = asyncua.Client(sink.endpoint)
        client.application_uri = "urn:client"
        if encrypted:
            policy = SecurityPolicyBasic256Sha256
            await client.set_security(policy, *map(str, theirs), server_certificate=str(own))
        if user:
            client.set_user(user)
            client.set_password(password)
        async with client:
            await client.get_namespace_array()

    try:
        asyncio.run(come("me", "pw"))
        for user, password in (("", ""), ("me", "wrong"), ("admin", "")):
            with pytest.raises(asyncua.ua.UaError):
                asyncio.run(come(user, password))
        with pytest.raises((asyncua.ua.UaError, ConnectionError, TimeoutError)):
            asyncio.run(come("me", "pw", encrypted=False))
    finally:
        sink.close()


def test_opcua_login_is_not_sent_in_the_clear():
    login = {"DENSE_OPCUA_USERNAME": "me", "DENSE_OPCUA_PASSWORD": "pw"}
    with pytest.raises(InputError, match="a login would cross the network unencrypted"):
        open_sink("opcua://0.0.0.0:4840", Secrets(environment=login))
    with pytest.raises(InputError, match="go together"):
        open_sink("opcua://0.0.0.0:4840", Secrets(environment={"DENSE_OPCUA_USERNAME": "me"}))


def test_a_port_that_is_taken_is_tried_again():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        sink = open_sink(f"modbus://127.0.0.1:{taken.getsockname()[1]}", NONE)
        with pytest.raises(DeliveryError, match="cannot listen"):
            sink.open("nut")
    sink.open("nut")
    sink.deliver([message(1)])
    sink.close()


def controller(port: int):
    client = modbus.ModbusTcpClient("127.0.0.1", port=port, timeout=2)
    assert client.connect()
    return client


def test_modbus_shows_coils_and_registers_to_a_real_client():
    port = free_port()
    sink = open_sink(f"modbus://127.0.0.1:{port}", NONE)
    sink.open("nut")
    client = controller(port)
    assert client.read_coils(0, count=4).bits[:4] == [False] * 4
    last = message(70_000, "reject", score=0.75, defects=[{"box": [10, 20, 300, 70_000]}])
    sink.deliver([message(1), last])
    assert client.read_coils(0, count=4).bits[:4] == [False, True, False, True]
    assert client.read_discrete_inputs(0, count=4).bits[:4] == [False, True, False, True]
    registers = client.read_input_registers(0, count=25).registers
    packed = struct.pack(">25H", *registers)
    fields = struct.unpack(">IHffH4HIIH16s", packed)
    assert fields[:5] == (70_000, 2, 0.75, 0.5, 1)
    assert fields[5:9] == (10, 20, 300, 65535)
    assert fields[9:12] == (2, 1, 3) and fields[12].hex() == last.id
    client.close()
    sink.close()


def test_modbus_waits_for_the_controller_that_acknowledges():
    port = free_port()
    sink = open_sink(f"modbus://127.0.0.1:{port}#acknowledge=yes&timeout=0.3", NONE)
    sink.open("nut")
    client = controller(port)
    with pytest.raises(DeliveryError, match="does not clear coil 3") as caught:
        sink.deliver([message(1), message(2)])
    assert caught.value.done == 0
    seen: list[int] = []
    done = threading.Event()

    def take() -> None:
        while not done.is_set():
            if client.read_coils(3, count=1).bits[0]:
                high, low = client.read_input_registers(0, count=2).registers
                seen.append(high << 16 | low)
                client.write_coil(3, False)
            time.sleep(0.01)

    thread = threading.Thread(target=take)
    thread.start()
    for number in range(1, 6):
        sink.deliver([message(number, "reject")])
    done.set()
    thread.join()
    assert seen == [1, 2, 3, 4, 5]
    registers = client.read_input_registers(12, count=4).registers
    assert registers == [0, 5, 0, 4]  # the first was shown as a pass, and counted once
    client.close()
    sink.close()
