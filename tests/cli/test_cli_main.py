"""The way in: help, versions, wrong use, the import budget, .env, secrets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from command_line import WRONG_KEY, command, environment, leading_to

import opus_async
from opus_async.cli import connection, errors, main
from opus_async.cli import environment as dotenv
from opus_async.cli.errors import Exit
from opus_async.errors import (
    AmbiguousExecution,
    AuthenticationError,
    ConfigurationError,
    DeadlineExceeded,
    InvalidInputs,
    JobFailed,
    NotFound,
    OpusError,
    PermissionDenied,
    ServerError,
    TransportError,
)
from opus_async.models import JobStatus
from opus_async.opus.protocol.generations import dialects
from opus_async.simulator import SimulatorConfig, SimulatorProcess

HEAVY = ("aiohttp", "pydantic", "rich", "asyncio", "opus_async.config", "opus_async.simulator.server")


@pytest.mark.parametrize(
    "words",
    [(), ("demo",), ("doctor",), ("workflow",), ("workflow", "show"), ("run",), ("audit",), ("simulate",)],
)
def test_every_help_names_its_command_and_exits_with_0(opus, words):
    said = opus(*words, "--help")
    assert said.code == 0
    assert said.out.startswith(" ".join(("usage: opus-async", *words)))
    assert not said.err


def test_help_imports_nothing_heavy(tmp_path):
    code = (
        "import sys; from opus_async.cli import main; code = main(['--help']);"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr.strip()) == (0, "[]")


def test_version(opus):
    assert opus("--version").out == f"opus-async {opus_async.__version__}\n"


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("fly",),
        ("batch", "run"),
        ("workflow",),
        ("workflow", "show"),
        ("run",),
        ("run", "W", "--timeout", "0"),
        ("run", "W", "--timeout", "soon"),
        ("demo", "--jobs", "0"),
        ("demo", "--faults", "fire"),
        ("demo", "--fail-share", "2"),
        ("doctor", "now"),
        ("doctor", "--api", "v9"),
        ("run", "W", "--api", "both"),
        ("simulate", "--faults", "fire"),
    ],
)
def test_wrong_use_is_explained_on_stderr_and_exits_with_2(opus, words):
    said = opus(*words)
    assert said.code == 2
    assert not said.out
    assert "opus-async" in said.err


def test_main_returns_the_code_of_help_and_wrong_use(capsys):
    assert main(["--help"]) == 0
    assert main(["fly"]) == 2
    assert capsys.readouterr().out.startswith("usage: opus-async")


def test_a_reader_who_leaves_ends_it_quietly():
    process = subprocess.Popen(
        command("run", "--help"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    process.stdout.close()
    with process.stderr:
        said = process.stderr.read()
    assert (process.wait(30), said) == (errors.READER_GONE, b"")


def test_without_a_key_the_code_is_4_and_the_text_says_where_keys_are_made(opus):
    said = opus("workflow", "show", "D0cumentWorkfl0w")
    assert said.code == 4
    assert "OPUS_SERVICE_KEY" in said.err
    assert "API Keys" in said.err
    assert not said.out


def test_a_base_url_that_is_none_has_the_code_4(opus):
    env = {"OPUS_SERVICE_KEY": WRONG_KEY, "OPUS_BASE_URL": "ftp://example.test"}
    said = opus("workflow", "show", "W", env=env)
    assert said.code == 4
    assert "base URL" in said.err


def test_a_refused_key_has_the_code_4_and_is_never_shown(opus, to):
    for words in (("workflow", "show", "W"), ("run", "W"), ("doctor",), ("run", "W", "--json", "--debug")):
        said = opus(*words, env={**to, "OPUS_SERVICE_KEY": WRONG_KEY})
        assert said.code == 4, said
        assert WRONG_KEY[1:] not in said.out + said.err


def test_the_right_key_is_never_shown_even_with_debug(opus, to):
    env = {**to, "OPUS_SERVICE_KEY": to["OPUS_SERVICE_KEY"]}
    for words in (
        ("run", "T3xtOnlyWorkfl0w", "--input", "Text=x"),
        ("doctor",),
        ("workflow", "show", "nope"),
    ):
        for more in ((), ("--debug",)):
            said = opus(*words, *more, env=env)
            assert to["OPUS_SERVICE_KEY"][1:] not in said.out + said.err


def test_debug_shows_the_traceback_wherever_it_stands(opus):
    for words in (("--debug", "run", "W"), ("run", "W", "--debug"), ("workflow", "show", "W", "--debug")):
        assert "Traceback" in opus(*words).err


def test_the_command_line_reads_env_files_and_the_environment_wins(opus, to, tmp_path):
    lines = [f"export {name}='{value}'  # of the simulator" for name, value in to.items()]
    (tmp_path / ".env").write_text("\n".join(["# ours", "PATH=/nowhere", *lines]))
    assert opus("workflow", "show", "T3xtOnlyWorkfl0w").code == 0
    assert opus("workflow", "show", "T3xtOnlyWorkfl0w", env={"OPUS_SERVICE_KEY": WRONG_KEY}).code == 4


TALKING = [
    ("run", "T3xtOnlyWorkfl0w", "--input", "Text=x"),
    ("workflow", "show", "T3xtOnlyWorkfl0w"),
    ("audit", "2514"),
    ("doctor",),
]
"""Every command that talks to the platform."""


@pytest.mark.parametrize("words", TALKING)
def test_a_generation_that_is_none_has_the_code_4_and_the_text_names_the_variable(opus, to, words):
    said = opus(*words, env={**to, "OPUS_API": "v9"})
    assert said.code == 4
    assert "OPUS_API='v9' is no generation of the API: use v0, v1 or auto" in said.out + said.err


@pytest.mark.parametrize("words", TALKING)
def test_every_command_that_talks_to_the_platform_takes_the_generation(opus, words):
    assert "--api {v0,v1,auto}" in opus(*words[: 2 if words[0] == "workflow" else 1], "--help").out


def test_the_generations_it_offers_are_those_of_the_client():
    for api in get_args(connection.Generation):
        assert dialects(api, callback_url=None, plain_http=False)


@pytest.fixture(scope="module")
def cases():
    """A platform of which only v1 is served."""
    with SimulatorProcess(SimulatorConfig(generations="v1", run_time=0.1)) as process:
        yield leading_to(process)


@pytest.mark.parametrize("api", ["v1", "auto"])
def test_the_generation_comes_from_the_option(opus, cases, api):
    done = opus("run", "T3xtOnlyWorkfl0w", "--input", "Text=x", "--json", "--api", api, env=cases)
    assert (done.code, done.json["outputs"]["Text"]) == (0, "x")
    assert opus("audit", done.json["job_id"], "--json", "--api", api, env=cases).json["nodes"]
    shown = opus("workflow", "show", "T3xtOnlyWorkfl0w", "--api", api, env=cases)
    assert shown.code == 0
    assert f"opus-async run T3xtOnlyWorkfl0w --api {api} " in shown.err
    assert opus("doctor", "--api", api, env=cases).code == 0


def test_the_generation_comes_from_the_environment_or_the_env_file(opus, cases, tmp_path):
    words = ("workflow", "show", "T3xtOnlyWorkfl0w")
    assert opus(*words, env=cases).code == 2  # v0 knows no such workflow
    assert opus(*words, env={**cases, "OPUS_API": "v1"}).code == 0
    (tmp_path / ".env").write_text("OPUS_API=v1\n")
    assert opus(*words, env=cases).code == 0
    assert opus(*words, env={**cases, "OPUS_API": "v0"}).code == 2
    assert opus(*words, "--api", "v0", env=cases).code == 2


def test_the_demo_is_not_led_astray_by_the_environment(opus, tmp_path):
    said = opus("demo", "--jobs", "2", "--out", tmp_path / "demo", env={"OPUS_API": "v9"})
    assert said.code == 0, said.err


@pytest.mark.parametrize(("api", "names"), [("both", ()), ("v0", ()), ("v1", ("OPUS_API=v1",))])
def test_simulate_prints_what_leads_to_it(opus, api, names):
    said = opus("simulate", "--api", api, "--die-with-stdin")
    lines = said.out.splitlines()
    assert (said.code, lines[-1]) == (0, "# ready")
    exports = [line.removeprefix("export ") for line in lines if line.startswith("export ")]
    assert exports[0].startswith("OPUS_SERVICE_KEY=_")
    assert exports[1].startswith("OPUS_BASE_URL=http://127.0.0.1:")
    assert tuple(exports[2:]) == names
    assert any(line.startswith("# workflow T3xtOnlyWorkfl0w") for line in lines)


def test_simulate_leads_a_command_to_the_one_generation_it_serves(opus):
    said = opus("simulate", "--api", "v1", "--", *command("workflow", "show", "T3xtOnlyWorkfl0w"))
    assert said.code == 0, said.err
    assert "export OPUS_API=v1" in said.err


def test_an_env_file_that_cannot_be_read_has_the_code_2(opus, tmp_path):
    (tmp_path / ".env").write_bytes(b"OPUS_SERVICE_KEY=\xff\xfe")
    said = opus("workflow", "show", "W")
    assert said.code == 2
    assert ".env" in said.err


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("OPUS_SERVICE_KEY=_abc", "_abc"),
        ("  export  OPUS_SERVICE_KEY = _abc  ", "_abc"),
        ('OPUS_SERVICE_KEY="_a b#c" # comment', "_a b#c"),
        ("OPUS_SERVICE_KEY='_a\"b'", '_a"b'),
        ("OPUS_SERVICE_KEY=_abc # comment", "_abc"),
        ("OPUS_SERVICE_KEY=_a#c", "_a#c"),
        ("OPUS_SERVICE_KEY=", ""),
        ("OPUS_SERVICE_KEY=a=b", "a=b"),
        ("#OPUS_SERVICE_KEY=_abc", None),
        ("PATH=/nowhere", None),
        ("MY_OPUS_SERVICE_KEY=x", None),
        ("OPUS_SERVICE_KEY", None),
        ("", None),
    ],
)
def test_lines_of_an_env_file(line, value):
    expected = {} if value is None else {"OPUS_SERVICE_KEY": value}
    assert dict(dotenv.settings([line])) == expected


def test_an_env_file_adds_only_what_is_not_set(tmp_path):
    path = tmp_path / ".env"
    path.write_text("\ufeffOPUS_API=v0\r\nOPUS_BASE_URL=https://a.test\r\n", "utf-8")
    environ = {"OPUS_API": "mine"}
    assert dotenv.load(path, environ) == ("OPUS_BASE_URL",)
    assert environ == {"OPUS_API": "mine", "OPUS_BASE_URL": "https://a.test"}
    assert dotenv.load(Path(tmp_path / "none"), environ) == ()


def _api(kind, status):
    return kind("no", status=status)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), Exit.INTERRUPTED),
        (ConfigurationError("x"), Exit.NOT_ALLOWED),
        (_api(AuthenticationError, 401), Exit.NOT_ALLOWED),
        (_api(PermissionDenied, 403), Exit.NOT_ALLOWED),
        (InvalidInputs(["x"]), Exit.WRONG_USE),
        (_api(NotFound, 404), Exit.WRONG_USE),
        (errors.WrongUse("x"), Exit.WRONG_USE),
        (AmbiguousExecution("x", job_id="1"), Exit.UNKNOWN),
        (DeadlineExceeded("x", job_id="1", stage="watch"), Exit.UNKNOWN),
        (DeadlineExceeded("x", stage="upload"), Exit.FAILED),
        (DeadlineExceeded("x", job_id="1", last_status=JobStatus.COMPLETED), Exit.FAILED),
        (TransportError("x", request_sent=True, job_id="1", stage="watch"), Exit.UNKNOWN),
        (TransportError("x", request_sent=False, retryable=False), Exit.NOT_ALLOWED),
        (TransportError("x", request_sent=True), Exit.FAILED),
        (JobFailed("x", job_id="1", stage="watch"), Exit.FAILED),
        (_api(ServerError, 500), Exit.FAILED),
        (OpusError("x"), Exit.FAILED),
        (ValueError("x"), Exit.FAILED),
    ],
)
def test_every_error_has_its_exit_code(error, code, capsys):
    assert errors.report(error, debug=False) is code
    assert capsys.readouterr().err.startswith("opus-async: ")


def test_of_several_codes_the_first_in_the_documented_order_counts():
    assert errors.first_of([Exit.FAILED, Exit.UNKNOWN]) is Exit.UNKNOWN
    assert errors.first_of([Exit.UNKNOWN, Exit.WRONG_USE, Exit.INTERRUPTED]) is Exit.INTERRUPTED
    assert errors.first_of([]) is Exit.OK


def test_an_unknown_outcome_names_the_job_and_how_to_wait_for_it(capsys):
    errors.report(DeadlineExceeded("Too late", job_id="2514", stage="watch"), debug=False)
    said = capsys.readouterr().err
    assert "jobs.wait('2514')" in said
    assert "Do not run the same inputs" in said
