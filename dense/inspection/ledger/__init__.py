"""The log of what was decided, said and changed: it only grows, and each entry seals those before.

An entry has the SHA-256 of the one before it in what its own SHA-256 is taken of. So nobody can
change, insert, remove or move an entry without all later hashes changing; who has written down the
last hash (the head) also sees if the end was cut off or everything was written anew.
"""

from dense.inspection.ledger.acting import acting_as, who_acts
from dense.inspection.ledger.chain import GENESIS, Entry, Head
from dense.inspection.ledger.files import export_lines, read_head, verify_file
from dense.inspection.ledger.ledger import Ledger
from dense.inspection.ledger.logged import Feedback, Logged, check_fits
from dense.inspection.ledger.verify import Verification, verify_log

__all__ = [
    "GENESIS",
    "Entry",
    "Feedback",
    "Head",
    "Ledger",
    "Logged",
    "Verification",
    "acting_as",
    "check_fits",
    "export_lines",
    "read_head",
    "verify_file",
    "verify_log",
    "who_acts",
]
