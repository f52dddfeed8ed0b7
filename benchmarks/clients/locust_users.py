"""Locust: its users send the four requests of a text job, as a locustfile would have them do.

The import of locust patches the standard library for gevent: nothing that opens sockets may be imported
before it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from gevent.event import Event
from locust import FastHttpUser, HttpUser
from locust.env import Environment

from benchmarks.answers import KEY, TEXT
from benchmarks.clients.whole_job import order, shell
from benchmarks.harness.meter import Meter

_HEADERS = {"x-service-key": KEY}
_KINDS = {"HttpUser": HttpUser, "FastHttpUser": FastHttpUser}


class _Work:
    """The jobs that are left, shared by all users: those that warm up, then those that count."""

    def __init__(self, users: int) -> None:
        self._users, self._idle = users, 0
        self._left: Iterator[int] = iter(())
        self._begun, self._done = Event(), Event()

    def run(self, count: int) -> None:
        """Have the users do so many jobs."""
        self._left, self._idle = iter(range(count)), 0
        self._done.clear()
        self._begun.set()
        self._done.wait()

    def take(self) -> None:
        """Wait until there is a job to do."""
        while next(self._left, None) is None:
            self._begun.clear()
            self._idle += 1
            if self._idle == self._users:
                self._done.set()
            self._begun.wait()


def _text_job(user: Any, work: _Work) -> None:
    """What a user does over and over: a text job."""
    work.take()
    job_id = _call(user, "POST", "/job/initiate", shell(TEXT))["jobExecutionId"]
    _call(user, "POST", "/job/execute", order(TEXT, job_id, "a text of some words"))
    assert _call(user, "GET", f"/job/{job_id}/status", name="status")["status"] == "COMPLETED"
    assert _call(user, "GET", f"/job/{job_id}/results", name="results")["jobResultsPayloadSchema"]


def _call(user: Any, method: str, path: str, body: object = None, name: str | None = None) -> Any:
    """Send a request, and return the JSON of its answer; Locust's statistics count it by ``name``."""
    return user.client.request(method, path, json=body, headers=_HEADERS, name=name).json()


def jobs(meter: Meter, count: int, *, user: str, url: str, folder: str, in_flight: int, warm: int) -> None:
    """Run so many text jobs, by as many users as may be in flight, after some to warm up.

    Args:
        meter: Measures them.
        count: Of jobs.
        user: ``HttpUser``, which sends by requests, or ``FastHttpUser``, by geventhttpclient.
        url: Of the platform.
        folder: None: these users send no files.
        in_flight: Users.
        warm: Jobs before.
    """
    assert not folder
    work = _Work(in_flight)
    tasks = [functools.partial(_text_job, work=work)]
    kind = type("TextUser", (_KINDS[user],), {"tasks": tasks})
    runner = Environment(user_classes=[kind], host=url).create_local_runner()
    runner.start(in_flight, spawn_rate=in_flight)
    work.run(warm)
    with meter.against(url):
        work.run(count)
    runner.quit()
