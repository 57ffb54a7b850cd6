"""Where decisions go: files, webhooks, plant networks. One file a sink."""

from dense.inspection.sinks.address import SINKS, Address, open_sink
from dense.inspection.sinks.base import DeliveryError, Message, Sink

__all__ = ["SINKS", "Address", "DeliveryError", "Message", "Sink", "open_sink"]
