"""Operativus: define a workflow of two agents, run it for many texts at once, gather what they gave in order.

Run it without a server of your own:

opus-async simulate --operativus-port 0 -- python examples/operativus_run_many.py
"""

import asyncio
import sys

from opus_async import JobRequest
from opus_async.operativus import OperativusClient, Step, Workflow

NAME = "Market briefing"
STEPS = (
    Step("finance_agent", "Fetch the current price and the news of the day."),
    Step("writer_agent", "Sum them up in three sentences."),
)
TICKERS = ["NVDA", "AAPL", "MSFT", "SAP", "ASML", "TSM", "AMD", "INTC", "ARM", "QCOM", "AVGO", "MU"]


async def defined(operativus: OperativusClient) -> Workflow:
    """Find the workflow by its name, or make it: a second start of this program makes no second one."""
    async for workflow in operativus.workflows.list():
        if workflow.name == NAME:
            return workflow
    return await operativus.workflows.create(NAME, description="One line for each share", steps=STEPS)


async def main() -> int:
    """Run a job for each share, print how it goes, then everything in the order of the list."""
    briefings: dict[str | None, str] = {}
    async with OperativusClient() as operativus:  # OPERATIVUS_BASE_URL and OPERATIVUS_TOKEN
        workflow = await defined(operativus)
        rows = (JobRequest({"input": f"How is {ticker} doing?"}, key=ticker) for ticker in TICKERS)
        async for outcome in operativus.run_many(workflow.id, rows, max_in_flight=100):
            if outcome.ok:  # in the order in which they end
                briefings[outcome.key] = outcome.outputs.get(
                    "output", "(the server tells this user no texts)"
                )
            else:
                print(f"{outcome.key}: {outcome.error}", file=sys.stderr)
            print(f"{len(briefings)} of {len(TICKERS)} briefed", file=sys.stderr)
    for ticker in TICKERS:
        print(f"{ticker}: {briefings.get(ticker, '-')}")
    return 0 if len(briefings) == len(TICKERS) else 1


sys.exit(asyncio.run(main()))
