"""One way to write every sink: ``KIND:TARGET#option=value&option=value``.

Options stand behind ``#``, which no server ever sees, so that an address may have its own query.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from dense.errors import InputError, unknown_name
from dense.inspection.secrets import Secrets
from dense.inspection.sinks.base import VERDICTS, Sink

SINKS = {
    "jsonl": ("lines", "jsonl:PATH", "one JSON object a line"),
    "csv": ("lines", "csv:PATH", "one row a picture"),
    "log": ("log", "log:HOME", "the log of the registry in HOME, as `dense serve` does"),
    "images": ("images", "images:DIR", "pictures of rejects, with heat and outlines"),
    "webhook": ("webhook", "webhook:https://host/path", "HTTP POST, signed"),
    "mqtt": ("mqtt", "mqtt://host:port/topic", "MQTT, confirmed by the broker"),
    "mqtts": ("mqtt", "mqtts://host:port/topic", "the same over TLS"),
    "opcua": ("opcua", "opcua://host:port/path", "OPC UA server, a node set a product"),
    "modbus": ("modbus", "modbus://host:port", "Modbus TCP server, coils and registers"),
}
"""Kinds of sinks: module, form of the address, what it is."""


@dataclass
class Address:
    """A sink as the user wrote it.

    Attributes:
        kind: A key of `SINKS`.
        target: What follows the colon.
        options: What follows ``#``.
        secrets: Looks up logins.
    """

    kind: str
    target: str
    options: dict[str, str] = field(default_factory=dict)
    secrets: Secrets = field(default_factory=Secrets)
    _used: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        """The address without its options, so that these may change at a restart."""
        return f"{self.kind}:{self.target}"

    def text(self, option: str, default: str = "") -> str:
        """An option as it was written."""
        self._used.add(option)
        return self.options.get(option, default)

    def flag(self, option: str, *, default: bool = False) -> bool:
        """An option that is yes or no.

        Raises:
            InputError: If it is something else.
        """
        value = self.text(option, "yes" if default else "no").lower()
        if value not in ("yes", "no", "true", "false", "1", "0"):
            raise InputError(f"{self.name}: {option} is yes or no, got {value!r}")
        return value in ("yes", "true", "1")

    def number(self, option: str, default: float, least: float, most: float) -> float:
        """An option that is a number in a range.

        Raises:
            InputError: If it is not.
        """
        text = self.text(option, f"{default:g}")
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            raise InputError(
                f"{self.name}: {option} is a number from {least:g} to {most:g}, got {text!r}"
            )
        return value

    def secret(self, what: str) -> str | None:
        """A secret of this sink, e.g. ``PASSWORD`` → ``MQTT_PASSWORD``."""
        prefix = self.text("secrets", "mqtt" if self.kind == "mqtts" else self.kind)
        return self.secrets.find(f"{prefix.upper()}_{what}")

    def endpoint(self, port: int) -> tuple[str, int, str]:
        """Host, port (by default `port`) and path of ``//host:port/path``.

        Raises:
            InputError: If it has another form.
        """
        parts = urlsplit(self.name)
        try:
            host, found = parts.hostname, parts.port
        except ValueError:
            host, found = None, None
        if not self.target.startswith("//") or not host:
            raise InputError(f"{self.kind} is written {SINKS[self.kind][1]}, got {self.name!r}")
        return host, found or port, parts.path.lstrip("/")

    def check_all_used(self) -> None:
        """Refuse options that nobody asked for.

        Raises:
            InputError: If there is one.
        """
        for option in self.options:
            if option not in self._used:
                raise unknown_name(f"option of {self.kind}", option, self._used)


def parse_address(text: str, secrets: Secrets) -> Address:
    """Read what the user wrote.

    Raises:
        InputError: If it has another form, the kind is unknown, or a password stands in it.
    """
    head, _, tail = text.partition("#")
    kind, mark, target = head.partition(":")
    if not mark or not target:
        forms = ", ".join(form for _, form, _ in SINKS.values())
        raise InputError(f"a sink is one of {forms}; got {text!r}")
    if kind not in SINKS:
        raise unknown_name("sink", kind, SINKS)
    secrets.refuse_in_address(
        f"{kind}:{target}" if target.startswith("//") else target, kind.upper()
    )
    pairs = parse_qsl(tail, keep_blank_values=True)
    if tail and not all("=" in part for part in tail.split("&")):
        raise InputError(f"options of {kind}:{target} are written #name=value&name=value")
    return Address(kind, target, dict(pairs), secrets)


def open_sink(text: str, secrets: Secrets) -> Sink:
    """Build a sink from its address; connections are made when it delivers.

    Raises:
        InputError: If the address or an option is wrong.
        MissingDependencyError: If its package is not installed.
    """
    address = parse_address(text, secrets)
    module = importlib.import_module(f"dense.inspection.sinks.{SINKS[address.kind][0]}")
    build: Callable[[Address], Sink] = module.build
    sink = build(address)
    sink.name = address.name
    only = address.text("only")
    if only:
        wanted = {part.strip() for part in only.split(",")}
        for verdict in sorted(wanted - set(VERDICTS)):
            raise unknown_name(f"verdict in only= of {address.name}", verdict, VERDICTS)
        sink.only = frozenset(wanted)
    address.text("secrets")
    address.check_all_used()
    return sink
