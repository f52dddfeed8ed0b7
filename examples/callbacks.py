"""Receive callbacks in a web application instead of polling: a hundred jobs that call it when they end.

A callback only makes us ask for the job at once; status and results always come from the platform. So a lost,
late, repeated or forged callback changes latency and nothing else. Run it without a key; with --callbacks
mixed all these kinds come:

opus-async simulate --run-time 10-20 --callbacks prompt -- python examples/callbacks.py
"""

import asyncio
import os
from collections import Counter

from aiohttp import web

from opus_async import CallbackReceiver, OpusClient, RequestSent

WORKFLOW = "T3xtOnlyWorkfl0w"


async def run_a_hundred(receiver: CallbackReceiver | None) -> None:
    """Run the jobs, and print how many polls that took."""
    requests: Counter[str] = Counter()

    def count(event: object) -> None:
        if isinstance(event, RequestSent):
            requests[event.operation] += 1

    rows = [{"Text": f"Contract {number}"} for number in range(100)]
    async with OpusClient(listeners=[count]) as opus:
        outcomes = [outcome async for outcome in opus.run_many(WORKFLOW, rows, callback=receiver)]
    completed = sum(outcome.ok for outcome in outcomes)
    print(f"callbacks {'on ' if receiver else 'off'}: {completed} completed, {requests['status']} polls")


async def main() -> None:
    """Serve the receiver beside whatever else the application does, then run jobs with it and without."""
    app = web.Application()
    runner = web.AppRunner(app, access_log=None)  # an access log would show the secret paths
    port = int(os.environ.get("PORT", "0"))
    receiver = CallbackReceiver()  # in production: CallbackReceiver("https://me.example.com/opus")
    app.add_subapp("/opus", receiver.app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    receiver.public_url = f"http://127.0.0.1:{runner.addresses[0][1]}/opus"

    await run_a_hundred(None)
    await run_a_hundred(receiver)
    print(f"heard: {receiver.counts}")
    await runner.cleanup()


asyncio.run(main())
