"""A Modbus TCP server that shows the last decision to a controller, through pymodbus.

Coils (function 1; the same bits as discrete inputs, function 2, which no client can write):

====  ====================================================================
0     pass
1     reject
2     refused
3     a result is there; with ``acknowledge=yes`` the controller clears it
4     alive: changes every second
====  ====================================================================

Input registers (function 4, high word first): 0-1 sequence number; 2 verdict (1 pass, 2 reject,
3 refused); 3-4 score and 5-6 threshold as 32-bit floats (not a number if there is none); 7 number
of defects; 8-11 box x0, y0, x1, y1 of the first; 12-13 pictures since the start; 14-15 rejects
since the start; 16 version of the product; 17-24 the first 16 bytes of the decision's id.

Modbus shows a state: a controller that looks too rarely misses results unless ``acknowledge=yes``
makes every result wait until coil 3 is cleared. Modbus knows no logins: keep it in the plant's own
network.
"""

from __future__ import annotations

import asyncio
import math
import struct
import time
from collections.abc import Coroutine, Mapping, Sequence
from typing import TypeVar

from dense.errors import MissingDependencyError
from dense.inspection.sinks.address import Address
from dense.inspection.sinks.base import VERDICTS, DeliveryError, Message, Sink
from dense.inspection.sinks.serving import LoopThread

try:
    from pymodbus.server import ModbusTcpServer
    from pymodbus.simulator import DataType, SimData, SimDevice
except ImportError as error:  # pragma: no cover
    raise MissingDependencyError("Modbus needs pymodbus: pip install 'dense-clip[line]'") from error

Value = TypeVar("Value")

RESULT, ALIVE = 3, 4
"""Coils."""

_COILS, _REGISTERS = 16, 32
_READ_COILS, _READ_INPUTS, _READ_REGISTERS = 1, 2, 4


class ModbusSink(Sink):
    """Serves the coils and registers of the last decision.

    Args:
        host: Address to listen on; ``0.0.0.0`` for all.
        port: To listen on.
        unit: Number of the device.
        acknowledge: Wait for the controller to clear coil 3 after each result.
        timeout: Seconds to wait for it before the result is shown again.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        unit: int = 1,
        acknowledge: bool = False,
        timeout: float = 10.0,
    ) -> None:
        self.host, self.port, self.unit = host, port, unit
        self.name = f"modbus://{host}:{port}"
        self.acknowledge, self.timeout = acknowledge, timeout
        self.shown, self.rejected = 0, 0
        self._thread: LoopThread | None = None
        self._server: ModbusTcpServer | None = None
        self._shown_id = ""

    def open(self, product: str) -> None:
        if self._server is None:
            self._start()

    def deliver(self, messages: Sequence[Message]) -> None:
        server = self._server or self._start()
        done = 0
        try:
            for message in messages:
                self._show(server, message, done)
                done += 1
        except (OSError, TimeoutError) as error:
            raise DeliveryError(f"the server fails: {error}", done=done) from error

    def close(self) -> None:
        if self._thread is not None and self._server is not None:
            self._thread.run(self._server.shutdown())
        if self._thread is not None:
            self._thread.close()
        self._thread = self._server = None

    def _show(self, server: ModbusTcpServer, message: Message, done: int) -> None:
        if message.id != self._shown_id:
            self.shown += 1
            self.rejected += message.body["verdict"] == "reject"
            self._shown_id = message.id
            registers = registers_of(message, self.shown, self.rejected)
            self._run(self._write(server, registers, str(message.body["verdict"])))
        until = time.monotonic() + self.timeout
        while self.acknowledge and self._run(self._coil(server, RESULT)):
            if time.monotonic() > until:
                raise DeliveryError("the controller does not clear coil 3", done=done)
            time.sleep(0.02)

    def _run(self, coroutine: Coroutine[object, object, Value]) -> Value:
        if self._thread is None:
            raise OSError("it is closed")
        return self._thread.run(coroutine)

    def _start(self) -> ModbusTcpServer:
        self._thread = LoopThread("modbus")
        try:
            self._server = server = self._run(self._serve())
            return server
        except (OSError, RuntimeError, TimeoutError) as error:
            self._thread.close()
            self._thread = None
            raise DeliveryError(f"cannot listen on {self.host}:{self.port}: {error}") from error

    async def _serve(self) -> ModbusTcpServer:
        bits = [SimData(0, values=[False] * _COILS, datatype=DataType.BITS)]
        inputs = [SimData(0, values=[False] * _COILS, datatype=DataType.BITS, readonly=True)]
        registers = [SimData(0, count=_REGISTERS, datatype=DataType.REGISTERS)]
        nothing = [SimData(0, count=1, datatype=DataType.REGISTERS, readonly=True)]
        device = SimDevice(self.unit, simdata=(bits, inputs, nothing, registers))
        server = ModbusTcpServer(device, address=(self.host, self.port))
        await server.serve_forever(background=True)
        self._beat = asyncio.create_task(self._blink(server))
        return server

    async def _blink(self, server: ModbusTcpServer) -> None:
        alive = False
        while True:
            await asyncio.sleep(1.0)
            alive = not alive
            await self._set_bits(server, ALIVE, [alive])

    async def _write(self, server: ModbusTcpServer, registers: list[int], verdict: str) -> None:
        """Show the numbers before the bit that says they are there."""
        bits = [verdict == name for name in VERDICTS]
        await self._set_bits(server, RESULT, [False])
        await server.async_setValues(self.unit, _READ_REGISTERS, 0, registers)
        await self._set_bits(server, 0, bits)
        await self._set_bits(server, RESULT, [True])

    async def _set_bits(self, server: ModbusTcpServer, first: int, bits: list[bool]) -> None:
        await server.async_setValues(self.unit, _READ_COILS, first, bits)
        await server.async_setValues(self.unit, _READ_INPUTS, first, bits)

    async def _coil(self, server: ModbusTcpServer, place: int) -> bool:
        bits = await server.async_getValues(self.unit, _READ_COILS, place, 1)
        return bool(bits[0])


def registers_of(message: Message, shown: int, rejected: int) -> list[int]:
    """The 25 input registers of a decision, see the module."""
    body = message.body
    defects = body.get("defects")
    boxes = [entry["box"] for entry in defects] if isinstance(defects, list) else []
    box = [min(int(value), 65535) for value in boxes[0]] if boxes else [0, 0, 0, 0]
    packed = struct.pack(
        ">IHffH4HIIH",
        message.sequence & 0xFFFFFFFF,
        VERDICTS.index(str(body["verdict"])) + 1,
        _float(body, "score"),
        _float(body, "threshold"),
        min(len(boxes), 65535),
        *box,
        shown & 0xFFFFFFFF,
        rejected & 0xFFFFFFFF,
        int(str(body.get("version", 0))) & 0xFFFF,
    ) + bytes.fromhex(message.id)[:16].ljust(16, b"\0")
    return list(struct.unpack(f">{len(packed) // 2}H", packed))


def build(address: Address) -> ModbusSink:
    """``modbus://host:port``; options ``unit``, ``acknowledge``, ``timeout``."""
    host, port, _ = address.endpoint(502)
    return ModbusSink(
        host,
        port,
        unit=int(address.number("unit", 1, 1, 247)),
        acknowledge=address.flag("acknowledge"),
        timeout=address.number("timeout", 10, 0.1, 3600),
    )


def _float(body: Mapping[str, object], key: str) -> float:
    value = body.get(key)
    return float(value) if isinstance(value, (int, float)) else math.nan
