"""What was decided and who has yet to hear of it, on disk: no result is lost, none blocks."""

from dense.inspection.outbox.courier import Courier
from dense.inspection.outbox.journal import Journal, Limits

__all__ = ["Courier", "Journal", "Limits"]
