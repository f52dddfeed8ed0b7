"""Operativus: runs that wait for a person. A rule approves what it can, and a person the rest.

Run it without a server of your own:

opus-async simulate --operativus-port 0 -- python examples/operativus_approval.py

With --ask a person is asked at the terminal; else everything that is left is approved as it is.
"""

import asyncio
import sys

from opus_async.operativus import OperativusClient, Run, Step

ORDERS = ["3 chairs, 240 EUR", "1 espresso machine, 9,900 EUR", "40 pens, 31 EUR", "2 desks, 1,150 EUR"]


def approved_by_rule(text: str) -> bool:
    """Small orders need no person."""
    return "," not in text.rpartition(", ")[2]


async def asked(text: str) -> str:
    """What a person wants the next step to get."""
    if "--ask" not in sys.argv:
        return f"approved: {text}"
    return await asyncio.to_thread(input, f"{text}\nWhat is ordered? ")


async def offered(operativus: OperativusClient, run: Run) -> str:
    """What a run that waits wants to have approved: the text of its last step that is done."""
    texts = await operativus.runs.texts(run)
    return texts[-1] if texts else "(the server tells this user no texts)"


async def main() -> int:
    """Order all, approve small ones while they run, then go through those that still wait."""
    async with OperativusClient() as operativus:  # OPERATIVUS_BASE_URL and OPERATIVUS_TOKEN
        workflow = await operativus.workflows.create(
            "Purchase with approval",
            steps=[
                Step("research_agent", "Find the best offer."),
                Step("approval_agent", "Let a person approve it."),
                Step("writer_agent", "Write the order."),
            ],
        )

        async def by_rule(run: Run) -> str | None:
            offer = await offered(operativus, run)
            return f"approved by rule: {offer}" if approved_by_rule(offer) else None  # None leaves it waiting

        left: list[str] = []
        async for outcome in operativus.run_many(workflow.id, ORDERS, on_pause=by_rule):
            if outcome.ok:
                print(f"done: {outcome.outputs['output']}")
            elif outcome.status == "WAITING" and outcome.job_id is not None:
                left.append(outcome.job_id)  # the session, under which the run is found
            else:
                raise outcome.error or RuntimeError(f"unexpected: {outcome.status}")

        print(f"{len(left)} wait for a person")
        for session in left:
            run = await operativus.runs.find(workflow.id, session)
            if run is None:
                continue
            text = await asked(await offered(operativus, run))
            await operativus.runs.resume(run.id, text)  # never sent twice
            ended = await operativus.runs.wait(workflow.id, session, after=run)  # not the pause it was in
            print(f"{ended.status}: {(await operativus.runs.texts(ended) or ['?'])[-1]}")
    return 0


sys.exit(asyncio.run(main()))
