"""A batch in a process that is killed at random moments, again and again, and gone on with."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from opus_async.batch import resolve_batch

LONGEST = 900
"""Seconds for the last run, which nobody kills."""


@dataclass(frozen=True)
class KilledBatch:
    """A batch that is begun, killed and gone on with.

    Attributes:
        process: The program that begins it or goes on with it.
        manifest: Its rows.
        directory: Where it lives.
        workflow_id: The workflow.
        environment: Leads to the platform.
        max_in_flight: Rows at work at once.
    """

    process: Path
    manifest: Path | str
    directory: Path
    workflow_id: str
    environment: Mapping[str, str]
    max_in_flight: int = 60

    def start(self) -> subprocess.Popen[str]:
        settings = json.dumps({"max_in_flight": self.max_in_flight})
        words = (self.process, self.manifest, self.directory, self.workflow_id, settings)
        return subprocess.Popen(
            [sys.executable, *map(str, words)],
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run_to_the_end(self) -> int:
        process = self.start()
        try:
            said, complaint = process.communicate(timeout=LONGEST)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        assert process.returncode in {0, 1, 5}, said + complaint
        return process.returncode

    def kill_after(self, seconds: float) -> bool:
        """Begin or go on, and kill the whole group after so long; False when it had ended by itself."""
        process = self.start()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return process.returncode == -signal.SIGKILL

    async def kill_again_and_again(self, kills: int, draws: random.Random) -> None:
        """Kill it so many times at random moments, then let it run to its end.

        What nobody can tell is decided as a person would who looks: nothing of it runs.
        """
        killed = 0
        while killed < kills:
            landed = await asyncio.to_thread(self.kill_after, draws.uniform(0.4, 2.5))
            killed += landed
            if not landed:
                break  # done before all the kills were used
        while await asyncio.to_thread(self.run_to_the_end) == 5:
            await resolve_batch(self.directory, "retry", keys=None)
        assert killed >= kills // 2, "the batch was over before it could be killed"

    def assert_whole(self, keys: set[str]) -> list[dict[str, object]]:
        """Each row is there once, and completed; returns the lines of ``results.jsonl``."""
        rows = len(keys)
        failed = self.lines("failures.jsonl")
        assert failed == [], failed
        lines = self.lines("results.jsonl")
        assert sorted(line["key"] for line in lines) == sorted(keys)
        assert len({line["job_id"] for line in lines}) == rows
        assert self.ask("PRAGMA integrity_check") == [("ok",)]
        assert self.ask("SELECT state, count(*) FROM rows GROUP BY state") == [("completed", rows)]
        summary = json.loads((self.directory / "summary.json").read_text())
        assert (summary["total"], summary["completed"]) == (rows, rows)
        return lines

    def ask(self, query: str) -> list[tuple[object, ...]]:
        with sqlite3.connect(f"file:{self.directory / 'ledger.db'}?mode=ro", uri=True) as database:
            found = database.execute(query).fetchall()
        database.close()
        return found

    def lines(self, name: str) -> list[dict[str, object]]:
        return [json.loads(line) for line in (self.directory / name).read_bytes().splitlines()]
