"""What fsspec writes into its own log, which a program may show."""

from __future__ import annotations

import pytest
from web_stores import web_store

from opus_async.remote.facts import facts_of
from opus_async.remote.hold import Hold
from opus_async.remote_urls import RemoteFile

pytest.importorskip("fsspec", reason="pip install fsspec")


@pytest.mark.parametrize("refused", ["HEAD", None])
async def test_log_of_the_library_tells_no_query(monkeypatch, caplog, refused):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    hold = Hold()
    hold.take()
    with web_store() as store, caplog.at_level("DEBUG"):
        store.put("/a.txt", b"text")
        store.act = lambda asked: 405 if asked.method == refused else None
        assert (await facts_of(RemoteFile(f"{store.url}/a.txt?key=5ecre7"))).size == 4
        await hold.release()
    assert "/a.txt" in caplog.text
    assert "5ecre7" not in caplog.text
