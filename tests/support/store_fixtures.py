"""Fixtures of tests with documents in a store: moto's server, and s3rver where it is installed."""

from __future__ import annotations

import pytest
from stores import moto_server, s3rver

BUCKET = "documents"


@pytest.fixture(scope="module", params=["moto", "s3rver"])
def server(request, tmp_path_factory):
    """A store with a bucket, for a whole file of tests: each uses keys of its own."""
    if request.param == "moto":
        with moto_server() as store:
            store.make_bucket(BUCKET)
            yield store
        return
    try:
        with s3rver(tmp_path_factory.mktemp("s3rver"), BUCKET) as store:
            yield store
    except LookupError as missing:
        pytest.skip(str(missing))


@pytest.fixture
def store(server, monkeypatch):
    """The same, and every library of this process leads to it."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server
