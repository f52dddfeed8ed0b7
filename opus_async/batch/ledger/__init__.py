"""The ledger of a batch on one machine: a SQLite file that one thread writes, and ``results.jsonl``.

It is the only memory of a batch. What is awaited here is on the disk when it returns, through kill -9 and
power loss; see :mod:`opus_async.batch.ports` for what each call promises.
"""

from opus_async.batch.ledger.evidence import UNFINISHED
from opus_async.batch.ledger.sqlite import SqliteLedger

__all__ = ["UNFINISHED", "SqliteLedger"]
