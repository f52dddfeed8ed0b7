"""A token that expires, in place of Opus's key: renewed once for all calls, and an order is still judged."""

from __future__ import annotations

import asyncio

import pytest
from client_tools import settings
from handmade_opus import OK, said

from opus_async import AuthenticationError, OpusClient
from opus_async.transport.auth import RenewingAuth

OPERATIONS = ("workflow", "initiate", "execute", "status", "results", "audit")


class Gatekeeper:
    """Lets calls through that carry the token of now; every log-in gives out a new one."""

    def __init__(self) -> None:
        self.token = "token-0"
        self.log_ins = 0
        self.refused: list[str] = []
        self.good_password = True

    async def log_in(self):
        self.log_ins += 1
        await asyncio.sleep(0.05)
        if not self.good_password:
            raise AuthenticationError("wrong password", status=401)
        self.token = f"token-{self.log_ins}"
        return {"Authorization": self.token}

    def __call__(self, seen):
        if seen.headers.get("authorization") == self.token:
            return OK
        self.refused.append(seen.operation)
        return said(401, statusCode=401, message="expired")

    def client(self, server) -> OpusClient:
        client = OpusClient(server.service_key, base_url=server.base_url, **settings())
        client._api._sender._auth = RenewingAuth(self.log_in)
        return client


@pytest.fixture
async def guarded(handmade):
    """A server behind a gatekeeper."""
    keeper = Gatekeeper()
    return await handmade(script={operation: [keeper] * 5000 for operation in OPERATIONS}), keeper


async def test_renewing_auth_logs_in_once_before_first_call(guarded):
    server, keeper = guarded
    async with keeper.client(server) as opus:
        assert (await opus.run("HandmadeWorkflow", {"Input": "x"})).ok
    assert (keeper.log_ins, keeper.refused) == (1, [])


async def test_renewing_auth_renews_expired_token_once_for_concurrent_calls(guarded):
    server, keeper = guarded
    async with keeper.client(server) as opus:
        await opus.workflows.get("HandmadeWorkflow")
        keeper.token = "another"
        await asyncio.gather(*(opus.workflows.get("HandmadeWorkflow") for _ in range(20)))
    assert keeper.log_ins == 2
    assert 1 <= len(keeper.refused) <= 20


async def test_renewing_auth_start_refused_for_expired_token_is_checked_before_resend(guarded):
    server, keeper = guarded

    def expire(seen):
        keeper.token = "another"
        return keeper(seen)

    server.script["execute"].insert(0, expire)
    async with keeper.client(server) as opus:
        assert (await opus.run("HandmadeWorkflow", {"Input": "x"})).ok
    assert keeper.log_ins == 2
    assert server.counts["execute"] == 2
    assert server.executed_twice == []
    operations = [seen.operation for seen in server.seen]
    first = operations.index("execute")
    assert operations[first + 1 : operations.index("execute", first + 1)].count("status") >= 3


async def test_renewing_auth_tries_refused_password_once_and_raises(guarded):
    server, keeper = guarded
    keeper.good_password = False
    async with keeper.client(server) as opus:
        for _ in range(3):
            with pytest.raises(AuthenticationError, match="wrong password"):
                await opus.workflows.get("HandmadeWorkflow")
    assert keeper.log_ins == 1
    assert server.seen == []
