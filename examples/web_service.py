"""Run jobs in a web service: one client for the whole application, one job for each request.

A visitor who disconnects cancels the waiting; the job goes on remotely, and its id is in the log. Run it
without a key:

opus-async simulate -- python examples/web_service.py
"""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web

from opus_async import InvalidInputs, OpusClient, OpusError, Timeouts

WORKFLOW = "D0cumentWorkfl0w"
OPUS = web.AppKey("opus", OpusClient)


async def opus_client(app: web.Application) -> AsyncIterator[None]:
    """Open the client when the application starts, and close it when it stops."""
    async with OpusClient(timeouts=Timeouts(job=300)) as opus:
        app[OPUS] = opus
        yield


async def check(request: web.Request) -> web.Response:
    """Run the posted document through the workflow, and answer with its outputs."""
    name = request.match_info["name"]
    try:
        outcome = await request.app[OPUS].run(
            WORKFLOW, {"Document": (name, await request.read())}, title=name
        )
    except InvalidInputs as error:
        return web.json_response({"problems": error.problems}, status=422)
    except OpusError as error:
        return web.json_response({"error": str(error), "job_id": error.job_id}, status=502)
    if not outcome.ok:
        return web.json_response({"error": str(outcome.error), "job_id": outcome.job_id}, status=502)
    return web.json_response({"job_id": outcome.job_id, "outputs": dict(outcome.outputs)})


def application() -> web.Application:
    """Make the web application."""
    app = web.Application(client_max_size=11 * 1024 * 1024)
    app.cleanup_ctx.append(opus_client)
    app.router.add_post("/documents/{name}", check)
    return app


async def try_it(url: str) -> None:
    """Send three requests: a good one, one with a bad file, one that disconnects before the answer."""
    async with aiohttp.ClientSession() as visitor:
        async with visitor.post(f"{url}/documents/hello.txt", data=b"hello\n") as answer:
            print(answer.status, await answer.text())
        async with visitor.post(f"{url}/documents/hello.exe", data=b"hello\n") as answer:
            print(answer.status, await answer.text())
        try:
            async with asyncio.timeout(0.3), visitor.post(f"{url}/documents/bye.txt", data=b"bye\n"):
                pass
        except TimeoutError:
            print("left before the answer")


async def main() -> None:
    """Serve, send the requests, and stop. A real service would call ``web.run_app(application())``."""
    logging.basicConfig(level=logging.WARNING)
    runner = web.AppRunner(application(), handler_cancellation=True)  # a visitor who leaves cancels
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    await try_it(f"http://{host}:{port}")
    if os.environ.get("STAY"):
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
        print(f"serving on http://{host}:{port} until Ctrl-C")
        await stop.wait()
    await runner.cleanup()


asyncio.run(main())
