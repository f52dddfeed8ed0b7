"""What a batch needs of others, in the words of ``platform.py``, split by who calls.

    store     BatchStore: the driver, one process, plans rows and keeps what is known of the batch
    queue     RowQueue: the driver hands out rows under leases
    shards    ShardRunner: brings rows to workers, in the driver or in processes anywhere
    journal   RowJournal: a worker reports what happens to its rows
    client    Client: what a platform's client offers

What passes between processes is plain and can be pickled.

A worker holds its rows by a lease, which has an owner, an epoch and perhaps an end. What is reported under a
lease that has ended is refused, and its rows are handed out again as they stand.
"""

from opus_async.batch.ports.client import Client
from opus_async.batch.ports.journal import Receipt, RowJournal
from opus_async.batch.ports.queue import IN_PROCESS, LeaseEnded, LeaseTerms, RowQueue, WorkerLease
from opus_async.batch.ports.shards import NO_EVENTS, RateLimiter, ShardReport, ShardRunner
from opus_async.batch.ports.store import Ask, BatchStore, Planned

__all__ = [
    "IN_PROCESS",
    "NO_EVENTS",
    "Ask",
    "BatchStore",
    "Client",
    "LeaseEnded",
    "LeaseTerms",
    "Planned",
    "RateLimiter",
    "Receipt",
    "RowJournal",
    "RowQueue",
    "ShardReport",
    "ShardRunner",
    "WorkerLease",
]
