"""``--web``: the report of a run, live, while it lasts; and of one that another process runs."""

from __future__ import annotations

import re
import signal
import socket
import sys
import urllib.error
import urllib.request

import pytest
from batch_command import TEXT, batch, beginning, going_on, running, texts
from command_line import SECONDS, leading_to

from opus_async.simulator import SimulatorConfig, SimulatorProcess

URL = re.compile(r"live page: (http://127\.0\.0\.1:[0-9]+/[\w-]{22}/)")


@pytest.fixture(scope="module")
def endless():
    """Jobs that never end while a test looks."""
    with SimulatorProcess(SimulatorConfig(run_time=600)) as process:
        yield process


LOAD = ("--workflow", TEXT, "--inputs", "texts.csv", "--out", "b", "--yes")
COMMANDS = {
    "batch": ("batch", "run", "texts.csv", "--workflow", TEXT, "--out", "b"),
    "load": ("load", "run", *LOAD, "--rate", "20/s", "--jobs", "2"),
    "search": ("load", "find-max", *LOAD, "--slo", "e2e.p95 < 9s", "--start-rate", "20/s"),
}


@pytest.fixture(params=COMMANDS)
def words(request, tmp_path):
    """What a command is called with."""
    texts(tmp_path, 2)
    return COMMANDS[request.param]


def url_in(process):
    """The address that a process tells."""
    while line := process.stderr.readline():
        if found := URL.search(line):
            return found[1]
    pytest.fail("no address was told")


def fetched(url):
    return urllib.request.urlopen(url, timeout=SECONDS).read().decode().replace("\N{NO-BREAK SPACE}", " ")


def events(url):
    """The events until the stream ends, as they come."""
    with urllib.request.urlopen(f"{url}events", timeout=SECONDS) as stream:
        yield from (line.decode().strip() for line in stream if line.strip())


def shown(url, process, text):
    """The page, once it shows a text."""
    while text not in (page := fetched(url)):
        assert process.poll() is None, page
    return page


def test_batch_is_shown_while_it_runs_and_its_end_to_who_looks(tmp_path, endless):
    manifest = texts(tmp_path, 2)
    with beginning(tmp_path, manifest, TEXT, "--web", "--drain", 0, env=leading_to(endless)) as process:
        url = url_in(process)
        page = shown(url, process, "2 are in flight")
        assert "It follows the batch while it is open." in page
        lines = events(url)
        assert next(lines) == "event: update"
        process.send_signal(signal.SIGINT)
        *updates, ended, whole = lines
        assert process.wait(SECONDS) == 130
    assert "The last session ended early: interrupted." in "".join(updates)
    assert (ended, whole) == ("event: end", 'data: {"whole": true}')
    with pytest.raises(urllib.error.URLError):
        fetched(url)


def test_token_stands_in_no_file_of_the_batch(tmp_path, endless):
    manifest = texts(tmp_path, 2)
    with beginning(tmp_path, manifest, TEXT, "--web", "--drain", 0, env=leading_to(endless)) as process:
        url = url_in(process)
        shown(url, process, "2 are in flight")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=SECONDS)
    token = url.rstrip("/").rpartition("/")[2]
    assert token not in out + err  # it was told once, in the line that was read
    files = [path for path in (tmp_path / "b").rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if token.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("command", "sees", "end"),
    [
        ("load", "0 of 2 jobs completed so far; 2 in flight.", "! INVALID"),
        ("search", "No rate has held yet; now 20/s is tried", "! INVALID"),
    ],
)
def test_load_is_shown_while_it_runs_and_its_end_to_who_looks(tmp_path, endless, command, sees, end):
    texts(tmp_path, 2)
    with running(tmp_path, *COMMANDS[command], "--web", "--drain", 0, env=leading_to(endless)) as process:
        url = url_in(process)
        shown(url, process, sees)
        lines = events(url)
        assert next(lines) == "event: update"
        process.send_signal(signal.SIGINT)
        *updates, ended, whole = lines
        assert process.wait(SECONDS) == 130
    assert end in re.sub("<[^>]+>", "", "".join(updates))
    assert (ended, whole) == ("event: end", 'data: {"whole": true}')


def test_batch_of_another_process_is_shown_until_that_has_gone(tmp_path, endless):
    manifest, env = texts(tmp_path, 2), leading_to(endless)
    with beginning(tmp_path, manifest, TEXT, env=env) as working:
        going_on(working, tmp_path)
        with batch(tmp_path, "status", "b", "--web", env=env) as looking:
            url = url_in(looking)
            shown(url, looking, "2 are in flight")
            lines = events(url)
            assert next(lines) == "event: update"
            working.kill()
            *updates, ended, _ = lines
            out, _ = looking.communicate(timeout=SECONDS)
            assert looking.returncode == 0
    assert "The last session stopped without a word" in "".join(updates)
    assert ended == "event: end"
    assert out.startswith("b: ")
    assert "opus-async batch resume b" in out


def test_batch_that_nobody_works_on_has_its_report_named(opus, to, tmp_path):
    texts(tmp_path, 1)
    opus(*COMMANDS["batch"], env=to)
    said = opus("batch", "status", "b", "--web")
    assert said.code == 0
    assert "Nobody works on it" in said.err
    assert "opus-async batch report b --open" in said.err
    assert said.out.startswith("b: all rows are completed")


def test_port_that_is_taken_is_told_and_nothing_is_sent(opus, to, simulator, words, tmp_path):
    before = simulator.state(jobs="0")["counters"]["requests"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = opus(*words, "--web", port, env=to)
    assert said.code == 2
    assert f"--web {port}: Address already in use; nothing was sent" in said.err
    assert simulator.state(jobs="0")["counters"]["requests"] == before
    assert not (tmp_path / "b").exists()


def test_without_the_extra_that_is_told_and_nothing_is_sent(opus, to, simulator, words, monkeypatch):
    before = simulator.state(jobs="0")["counters"]["requests"]
    monkeypatch.setitem(sys.modules, "jinja2", None)
    said = opus(*words, "--web", env=to)
    assert said.code == 4
    assert "--web takes pip install 'opus-async[report]'" in said.err
    assert simulator.state(jobs="0")["counters"]["requests"] == before


def test_what_is_no_port_is_told(opus):
    said = opus("batch", "run", "--web", *COMMANDS["batch"][2:])
    assert said.code == 2
    assert "'texts.csv' is no port: 0 to 65535; --web without one goes last" in said.err
