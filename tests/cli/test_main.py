"""The way in: help, versions, wrong use, the import budget, secrets."""

from __future__ import annotations

import errno
import re
import signal
import socket
import subprocess
import sys
from typing import get_args

import pytest
from batch_command import running
from command_line import SECONDS, WRONG_KEY, command, environment, leading_to
from installed_script import installed_script
from simulator_thread import SimulatorThread

import opus_async
from opus_async.cli import error_report, errors, main, operativus, parser, program
from opus_async.cli.batch import VERBS
from opus_async.cli.errors import Exit
from opus_async.cli.platforms.opus import ENTRY, Generation
from opus_async.cli.target import Target
from opus_async.error_codes import NextAction, NextStep
from opus_async.errors import (
    AmbiguousExecution,
    AuthenticationError,
    ConfigurationError,
    DeadlineExceeded,
    DownloadError,
    HostDown,
    InvalidInputs,
    JobFailed,
    LedgerBusy,
    LedgerDoubtful,
    LedgerError,
    ManifestError,
    NotFound,
    OpusError,
    PermissionDenied,
    QuotaExhausted,
    ServerError,
    TransportError,
)
from opus_async.models import JobStatus
from opus_async.opus.protocol.api_versions import api_versions
from opus_async.opus.protocol.hints import hint
from opus_async.simulator import SimulatorConfig
from opus_async.simulator.faults import PROFILES
from opus_async.simulator.traits import TRAITS

OPUS = Target(ENTRY)
HEAVY = {
    *("aiohttp", "pydantic", "pydantic_core", "rich", "asyncio", "sqlite3", "ssl", "uvloop"),
    *("opus_async.config", "opus_async.simulator.server"),
}
_AT_ONCE = (
    *("argument_parser", "completion", "connection", "parser", "platforms", "platforms.operativus"),
    *("platforms.opus", "program", "streams", "target", "unfailing"),
)
PARSER = {
    *("opus_async._lazy", "opus_async.cli", "opus_async.exits", "opus_async.terminal_text"),
    *(f"opus_async.cli.{name}" for name in _AT_ONCE),
}
"""What is imported before a command is chosen."""


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("demo",),
        ("doctor",),
        ("workflow",),
        ("workflow", "show"),
        ("run",),
        ("wait",),
        ("audit",),
        ("simulate",),
        ("batch",),
        *(("batch", verb) for verb in VERBS),
        ("operativus",),
        *(("operativus", verb) for verb in operativus.VERBS),
    ],
)
def test_cli_help_names_command_and_exits_0(opus, words):
    said = opus(*words, "--help")
    assert said.code == 0
    assert said.out.startswith(" ".join(("usage: opus-async", *words)))
    assert not said.err


def _imported(*words):
    """The modules that a command line imports, and its exit code."""
    code = (
        "import sys; from opus_async.cli import main; code = main(sys.argv[1:]);"
        "print('imported:', *sys.modules, file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=30,
        check=False,
    )
    return set(done.stderr.partition("imported:")[2].split()), done.returncode


@pytest.mark.parametrize(
    ("words", "code"),
    [(("--help",), 0), (("--version",), 0), (("fly",), 2), ((), 2), (("batch", "--help"), 0)],
)
def test_cli_imports_no_command_and_nothing_of_library_until_one_is_chosen(words, code):
    imported, ended = _imported(*words)
    assert ended == code
    assert not imported & {*HEAVY, "dataclasses", "inspect", "logging", "json"}
    ours = {name for name in imported if name.startswith("opus_async.")}
    chosen = {"opus_async.cli.batch"} if "batch" in words else set()
    assert ours - chosen <= PARSER
    assert not {f"opus_async.cli.{word}" for word in parser.COMMANDS} & ours - chosen


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--help"),
        ("doctor", "--help"),
        ("batch", "run", "--help"),
        ("batch", "validate", "--help"),
        ("batch", "run"),
        ("operativus", "run", "--help"),
    ],
)
def test_cli_help_of_command_imports_no_library_of_others_and_none_of_its_own_work(words):
    imported, _ = _imported(*words)
    assert not imported & {*HEAVY, "opus_async.manifests", "opus_async.opus.client", "opus_async.opus.api"}
    assert "opus_async.cli.demo" not in imported


def test_cli_version_prints_package_version(opus):
    assert opus("--version").out == f"opus-async {opus_async.__version__}\n"


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("fly",),
        ("batch",),
        ("batch", "fly"),
        ("batch", "run"),
        ("batch", "run", "a.csv", "--workflow", "W", "--max-in-flight", "0"),
        ("batch", "run", "a.csv", "--workflow", "W", "--halt", "later"),
        ("batch", "resume"),
        ("batch", "retry", "d", "--only", "completed"),
        ("batch", "resolve", "d", "k"),
        ("batch", "export", "d"),
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
        ("wait",),
        ("wait", "1", "2"),
        ("operativus",),
        ("operativus", "fly"),
        ("operativus", "run", "W"),
        ("operativus", "resume", "R"),
        ("operativus", "runs", "W", "--limit", "0"),
        ("operativus", "apply"),
        ("simulate", "--faults", "fire"),
    ],
)
def test_cli_wrong_use_exits_2_and_explains_on_stderr(opus, words):
    said = opus(*words)
    assert said.code == 2
    assert not said.out
    assert "opus-async" in said.err


def test_cli_main_returns_exit_code_of_help_and_wrong_use(capsys):
    assert main(["--help"]) == 0
    assert main(["fly"]) == 2
    assert capsys.readouterr().out.startswith("usage: opus-async")


def test_cli_exits_quietly_if_stdout_is_closed():
    process = subprocess.Popen(
        command("run", "--help"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    process.stdout.close()
    with process.stderr:
        said = process.stderr.read()
    assert (process.wait(30), said) == (errors.READER_GONE, b"")


def test_cli_exits_4_without_key_and_says_where_keys_are_made(opus):
    said = opus("workflow", "show", "D0cumentWorkfl0w")
    assert said.code == 4
    assert "OPUS_SERVICE_KEY" in said.err
    assert "API Keys" in said.err
    assert not said.out


def test_cli_exits_4_for_invalid_base_url(opus):
    env = {"OPUS_SERVICE_KEY": WRONG_KEY, "OPUS_BASE_URL": "ftp://example.test"}
    said = opus("workflow", "show", "W", env=env)
    assert said.code == 4
    assert "base URL" in said.err


def test_cli_exits_4_for_refused_key_and_never_shows_it(opus, to):
    for words in (
        ("workflow", "show", "W"),
        ("run", "W"),
        ("run", "W", "--json", "--debug"),
        ("wait", "2514"),
        ("audit", "1", "--debug"),
        ("doctor",),
    ):
        said = opus(*words, env={**to, "OPUS_SERVICE_KEY": WRONG_KEY})
        assert said.code == 4, said
        assert WRONG_KEY[1:] not in said.out + said.err
        assert ("'opus-async doctor'" in said.err) is (words != ("doctor",)), words


def test_cli_never_shows_valid_key_even_with_debug(opus, to):
    env = {**to, "OPUS_SERVICE_KEY": to["OPUS_SERVICE_KEY"]}
    for words in (
        ("run", "T3xtOnlyWorkfl0w", "--input", "Text=x"),
        ("doctor",),
        ("workflow", "show", "nope"),
    ):
        for more in ((), ("--debug",)):
            said = opus(*words, *more, env=env)
            assert to["OPUS_SERVICE_KEY"][1:] not in said.out + said.err


def test_debug_option_shows_traceback_in_any_position(opus):
    for words in (("--debug", "run", "W"), ("run", "W", "--debug"), ("workflow", "show", "W", "--debug")):
        assert "Traceback" in opus(*words).err


TALKING = [
    ("run", "T3xtOnlyWorkfl0w", "--input", "Text=x"),
    ("workflow", "show", "T3xtOnlyWorkfl0w"),
    ("wait", "2514"),
    ("audit", "2514"),
    ("doctor",),
]
"""Every command that talks to the platform."""


@pytest.mark.parametrize("words", TALKING)
def test_api_option_from_environment_exits_4_for_unknown_generation(opus, to, words):
    said = opus(*words, env={**to, "OPUS_API": "v9"})
    assert said.code == 4
    assert "OPUS_API='v9' is no generation of the API: use v0, v1 or auto" in said.out + said.err


@pytest.mark.parametrize("words", TALKING)
def test_api_option_is_offered_by_every_platform_command(opus, words):
    assert "--api {v0,v1,auto}" in opus(*words[: 2 if words[0] == "workflow" else 1], "--help").out


def test_api_option_choices_are_known_to_client():
    for api in get_args(Generation):
        assert api_versions(api, callback_url=None, plain_http=False)


@pytest.fixture(scope="module")
def cases():
    """A platform of which only v1 is served."""
    with SimulatorThread(SimulatorConfig(generations="v1", run_time=0.1)) as process:
        yield leading_to(process)


@pytest.mark.parametrize("api", ["v1", "auto"])
def test_api_option_selects_generation_in_every_command(opus, cases, api):
    done = opus("run", "T3xtOnlyWorkfl0w", "--input", "Text=x", "--json", "--api", api, env=cases)
    assert (done.code, done.json["outputs"]["Text"]) == (0, "x")
    assert opus("audit", done.json["job_id"], "--json", "--api", api, env=cases).json["nodes"]
    assert opus("wait", done.json["job_id"], "--api", api, env=cases).json == done.json["outputs"]
    shown = opus("workflow", "show", "T3xtOnlyWorkfl0w", "--api", api, env=cases)
    assert shown.code == 0
    assert f"opus-async run T3xtOnlyWorkfl0w --api {api} " in shown.err
    assert opus("doctor", "--api", api, env=cases).code == 0


def test_api_option_overrides_environment_which_overrides_env_file(opus, cases, tmp_path):
    words = ("workflow", "show", "T3xtOnlyWorkfl0w")
    assert opus(*words, env=cases).code == 2  # v0 knows no such workflow
    assert opus(*words, env={**cases, "OPUS_API": "v1"}).code == 0
    (tmp_path / ".env").write_text("OPUS_API=v1\n")
    assert opus(*words, env=cases).code == 0
    assert opus(*words, env={**cases, "OPUS_API": "v0"}).code == 2
    assert opus(*words, "--api", "v0", env=cases).code == 2


@pytest.mark.parametrize(("api", "names"), [("both", ()), ("v0", ("OPUS_API=v0",)), ("v1", ("OPUS_API=v1",))])
def test_simulate_command_prints_environment_for_clients(process, api, names):
    said = process("simulate", "--api", api, "--die-with-stdin")
    lines = said.out.splitlines()
    assert (said.code, lines[-1]) == (0, "# ready")
    exports = [line.removeprefix("export ") for line in lines if line.startswith("export ")]
    assert exports[0].startswith("OPUS_SERVICE_KEY=_")
    assert exports[1].startswith("OPUS_BASE_URL=http://127.0.0.1:")
    assert tuple(exports[2:]) == names
    assert any(line.startswith("# workflow T3xtOnlyWorkfl0w") for line in lines)


def test_simulate_command_passes_its_only_generation_to_child_command(opus):
    said = opus("simulate", "--api", "v1", "--", *command("workflow", "show", "T3xtOnlyWorkfl0w"))
    assert said.code == 0, said.err
    assert "export OPUS_API=v1" in said.err


def _api(kind, status):
    return kind("no", status=status)


def _down():
    return HostDown("x", host="operator.opus.com", seconds=600, request_sent=False)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), Exit.INTERRUPTED),
        (ConfigurationError("x"), Exit.NOT_ALLOWED),
        (_api(AuthenticationError, 401), Exit.NOT_ALLOWED),
        (_api(PermissionDenied, 403), Exit.NOT_ALLOWED),
        (_api(QuotaExhausted, 402), Exit.NOT_ALLOWED),
        (InvalidInputs(["x"]), Exit.WRONG_USE),
        (_api(NotFound, 404), Exit.WRONG_USE),
        (errors.WrongUse("x"), Exit.WRONG_USE),
        (AmbiguousExecution("x", job_id="1"), Exit.UNKNOWN),
        (DeadlineExceeded("x", job_id="1", stage="watch"), Exit.UNKNOWN),
        (DeadlineExceeded("x", stage="upload"), Exit.FAILED),
        (DeadlineExceeded("x", job_id="1", last_status=JobStatus.COMPLETED), Exit.FAILED),
        (TransportError("x", request_sent=True, job_id="1", stage="watch"), Exit.UNKNOWN),
        (TransportError("x", request_sent=False, retryable=False), Exit.NOT_ALLOWED),
        (_down(), Exit.NOT_ALLOWED),
        (ManifestError("x", ["row 1"]), Exit.WRONG_USE),
        (LedgerBusy("x", pid=17, host="here"), Exit.WRONG_USE),
        (LedgerDoubtful("x", ["a line"], keys=["k1"]), Exit.WRONG_USE),
        (LedgerError("x", disk_full=True), Exit.HALTED),
        (LedgerError("x"), Exit.FAILED),
        (_down().located(job_id="1", stage="watch"), Exit.UNKNOWN),
        (TransportError("x", request_sent=True), Exit.NOT_ALLOWED),
        (TransportError("x", request_sent=False, job_id="1", stage="execute"), Exit.NOT_ALLOWED),
        (RuntimeError("can't start new thread"), Exit.NOT_ALLOWED),
        (OSError(errno.EMFILE, "Too many open files"), Exit.NOT_ALLOWED),
        (JobFailed("x", job_id="1", stage="watch"), Exit.FAILED),
        (DownloadError("x", destination="a", job_id="1", stage="download"), Exit.FAILED),
        (_api(NotFound, 404).located(job_id="1", stage="download"), Exit.FAILED),
        (_api(ServerError, 500), Exit.FAILED),
        (OpusError("x"), Exit.FAILED),
        (ValueError("x"), Exit.FAILED),
    ],
)
def test_exit_code_follows_from_error_class_and_stage(error, code, capsys):
    assert error_report.report(error, debug=False, target=OPUS) is code
    assert capsys.readouterr().err.startswith("opus-async: ")


def test_exit_code_first_in_documented_order_wins():
    assert errors.first_of([Exit.FAILED, Exit.UNKNOWN]) is Exit.UNKNOWN
    assert errors.first_of([Exit.UNKNOWN, Exit.WRONG_USE, Exit.INTERRUPTED]) is Exit.INTERRUPTED
    assert errors.first_of([]) is Exit.OK


NEXT = {
    DeadlineExceeded("x", job_id="2514", stage="watch"): ("wait 2514 --api v1", "audit 2514 --api v1"),
    AmbiguousExecution("x", job_id="2514", stage="execute"): ("wait 2514 --api v1", "audit 2514 --api v1"),
    JobFailed("x", job_id="2514", stage="results"): ("audit 2514 --api v1",),
    _api(ServerError, 500).advised(NextAction.FETCH_RESULTS).located(job_id="2514", stage="results"): (
        "wait 2514 --api v1",
    ),
    DownloadError("x", destination="a", job_id="2514", stage="download"): (
        "wait 2514 --api v1 --download DIR",
    ),
    TransportError("x", request_sent=False): ("doctor --api v1",),
    TransportError("x", request_sent=True, job_id="2514", stage="watch"): (
        "wait 2514 --api v1",
        "audit 2514 --api v1",
        "doctor --api v1",
    ),
    _api(AuthenticationError, 401): ("doctor --api v1",),
    NotFound("no", status=404).advised(NextAction.CHOOSE_GENERATION): ("doctor --api v1",),
    NotFound("no", status=404, detail="Job not found"): (),
    InvalidInputs(["x"]): (),
    errors.Interrupted("x", job_id="2514"): ("wait 2514 --api v1", "audit 2514 --api v1"),
    errors.Interrupted("no job was started"): (),
    KeyboardInterrupt(): (),
}
"""Error -> the commands that are told as the next step."""


@pytest.mark.parametrize("error", NEXT, ids=repr)
def test_error_report_suggests_next_command_with_same_api_option(error, capsys):
    error_report.report(error, debug=False, target=Target(ENTRY, api="v1"))
    told = re.findall(r"opus-async ((?:wait|audit|doctor)[a-zA-Z0-9 -]*)", capsys.readouterr().err)
    assert tuple(told) == NEXT[error]


def test_error_report_warns_of_second_bill_for_unknown_outcome(capsys):
    error_report.report(DeadlineExceeded("Too late", job_id="2514", stage="watch"), debug=False, target=OPUS)
    assert "Do not run the same inputs" in capsys.readouterr().err


HINTED = {
    NextAction.WAIT_FOR_JOB: "'opus-async wait 2514 --api v1' goes on waiting.",
    NextAction.FETCH_RESULTS: "'opus-async wait 2514 --api v1' fetches what it left.",
    NextAction.READ_AUDIT: "'opus-async audit 2514 --api v1' tells what its nodes did.",
    NextAction.CHECK_ID: "--api or OPUS_API names the generation of the API.",
    NextAction.CHOOSE_GENERATION: "--api or OPUS_API names the generation of the API.",
    NextAction.SET_KEY: "",
}
"""Next step -> how a machine that reads the JSON of a command is told of it, instead of by Python."""


@pytest.mark.parametrize("action", HINTED)
def test_error_message_in_json_has_cli_command_instead_of_python_call(action):
    error = OpusError("What happened.", job_id="2514", stage="watch")
    error.advised(action, hint(NextStep(action, "2514")))
    assert error.hint in str(error)
    said = errors.message_of(error, Target(ENTRY, api="v1"))
    assert said == f"What happened. {HINTED[action]}".strip()


def test_error_report_has_no_python_and_each_advice_once(capsys):
    step = NextStep(NextAction.WAIT_FOR_JOB, "2514")
    error = DeadlineExceeded("Too late.", job_id="2514", stage="watch").advised(step.action, hint(step))
    assert str(error) == "Too late. jobs.outcome('2514') goes on waiting. [job 2514, stage watch]"
    error_report.report(error, debug=False, target=OPUS)
    said = capsys.readouterr().err
    assert said.startswith("opus-async: Too late. [job 2514, stage watch]\n")
    assert said.count("opus-async wait 2514") == said.count("opus-async audit 2514") == 1
    error_report.report(_down(), debug=False, target=OPUS)
    assert "RetryPolicy" not in capsys.readouterr().err


def test_error_report_of_missing_key_names_environment_variable(opus):
    said = opus("audit", "2514", env={"OPUS_SERVICE_KEY": ""})
    assert said.code == 4
    assert "No service key: set OPUS_SERVICE_KEY. Keys are made in Opus" in said.err
    assert "opus-async simulate -- COMMAND" in said.err
    assert "service_key" not in said.err


def test_error_report_of_unknown_url_path_suggests_doctor(opus, to):
    nowhere = {**to, "OPUS_BASE_URL": f"{to['OPUS_BASE_URL']}/here"}
    for words in (("workflow", "show", "W"), ("run", "W"), ("audit", "2514"), ("wait", "2514")):
        said = opus(*words, env=nowhere)
        assert said.code == 2
        assert "Cannot GET /here/" in said.err
        assert "--api or OPUS_API" in said.err
        assert said.err.endswith("'opus-async doctor' checks key, network and limits.\n")


@pytest.mark.parametrize("words", TALKING[:-1])
def test_cli_prints_retries_while_they_happen(words):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # and never listens
        env = {"OPUS_SERVICE_KEY": WRONG_KEY, "OPUS_BASE_URL": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        process = subprocess.Popen(
            command(*words), env=environment(**env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        with process.stderr, process.stdout:
            while " again in " not in (line := process.stderr.readline()):
                assert line, "it ended without a word"
            process.send_signal(signal.SIGINT)
            assert "interrupted" in process.stderr.read()
            assert process.wait(SECONDS) == 130
    assert re.search(r" s  (\w+ +)?(workflow|status|audit) again in \d\.\d s \(unsent: .*ECONNREFUSED", line)


@pytest.mark.parametrize(
    "words",
    [
        ("batch", "run", "rows.csv", "--workflow", "T3xtOnlyWorkfl0w", "--out", "b"),
        ("batch", "validate", "rows.csv", "--workflow", "T3xtOnlyWorkfl0w"),
        (
            "load",
            "run",
            "--workflow",
            "T3xtOnlyWorkfl0w",
            "--set",
            "Text=a",
            "--concurrency",
            "1",
            "--jobs",
            "1",
            "--yes",
            "--out",
            "l",
        ),
    ],
    ids=("batch run", "batch validate", "load run"),
)
def test_cli_tells_once_that_a_host_refuses_connections_while_it_is_tried_again(words, tmp_path):
    (tmp_path / "rows.csv").write_text("Text\na\nb\nc\n")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # and never listens
        env = {"OPUS_SERVICE_KEY": WRONG_KEY, "OPUS_BASE_URL": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        with running(tmp_path, *words, env=env) as process:
            while "does not answer" not in (line := process.stderr.readline()):
                assert line, "it ended without a word"
            process.send_signal(signal.SIGINT)
            assert "it is tried again" not in process.stderr.read()
            process.wait(SECONDS)
    assert "127.0.0.1 does not answer (unsent: GET " in line
    assert "ECONNREFUSED" in line
    assert line.endswith("it is tried again\n")


@pytest.mark.parametrize("words", [("run", "W"), ("workflow", "show", "W")])
@pytest.mark.parametrize("option", ["--version", "--version-number"])
def test_version_number_option_has_two_names_in_run_and_workflow_show(words, option):
    assert parser.build().parse_args([*words, option, "3"]).version_number == 3


def test_debug_option_logs_requests_of_every_command_without_secrets(opus, to, tmp_path):
    (tmp_path / "a.txt").write_text("a")
    job_id = opus("run", "T3xtOnlyWorkfl0w", "--input", "Text=x", "--json", env=to).json["job_id"]
    report = ("Rep0rtWithFiles1", "--file", "Document=a.txt", "--input", "Text=x", "--download", "out")
    requests = {
        ("run", *report): r"PUT http://\S+/media/\S+: 200 in \d+ ms",
        ("workflow", "show", "T3xtOnlyWorkfl0w"): r"GET \S+/workflow/T3xtOnlyWorkfl0w: 200 in \d+ ms",
        ("wait", job_id): rf"GET \S+/job/{job_id}/results: 200 in \d+ ms",
        ("audit", job_id): rf"GET \S+/job/{job_id}/audit: 200 in \d+ ms",
        ("doctor",): r"GET \S+/workflow/\S+: 404 in \d+ ms",
        ("demo", "--jobs", "1"): r"POST \S+/job/execute: 201 in \d+ ms",
    }
    secret = "https://me.example.com/opus/t0ken"
    for words, expected in requests.items():
        said = opus(*words, "--debug", env={**to, "OPUS_CALLBACK_URL": secret})
        assert said.code == 0, said.err
        assert re.search(rf"DEBUG opus_async\.transport: {expected}", said.err), words
        for hidden in (to["OPUS_SERVICE_KEY"][1:], "t0ken", "Signature", "X-Amz", "?"):
            assert hidden not in said.err, (words, hidden)


# What is told to be typed works


def test_command_line_uses_program_path_if_not_found_on_path(tmp_path, monkeypatch):
    ours, others = installed_script(tmp_path / "our own"), installed_script(tmp_path / "others")
    for path in ("/nowhere", str(others.parent)):
        monkeypatch.setenv("PATH", path)
        monkeypatch.setattr(sys, "argv", [str(ours)])
        assert program.command_line("wait", "a b", api="v1") == f"'{ours}' wait 'a b' --api v1"
    assert errors.as_called("'opus-async batch resume d' goes on") == (f"''{ours}' batch resume d' goes on")
    monkeypatch.setenv("PATH", str(ours.parent))
    assert program.command_line("doctor") == "opus-async doctor"
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "__main__.py")])
    assert program.command_line("doctor") == "opus-async doctor"


# The simulator's own command line


def test_simulate_command_list_traits_separates_names_from_descriptions(opus):
    said = opus("simulate", "--list-traits").out
    for name, meaning in {**TRAITS, **{each.name: each.summary for each in PROFILES.values()}}.items():
        assert re.search(rf"^  {name} {{2,}}{re.escape(meaning.split()[0])}", said, re.MULTILINE), name
    assert max(map(len, said.splitlines())) <= 100


def test_simulate_command_says_where_missing_double_dash_goes(opus):
    said = opus("simulate", "--seed", "3", "opus-async", "doctor", "--workflow-id", "a b")
    assert said.code == 2
    assert (
        "put -- before the command: opus-async simulate --seed 3 -- opus-async doctor --workflow-id 'a b'"
        in said.err
    )
    said = opus("simulate", "--sea")
    assert (said.code, "unrecognized arguments: --sea; did you mean '--seed'?" in said.err) == (2, True)


def test_simulate_command_help_fits_one_screen_and_names_list_traits(opus):
    said = opus("simulate", "--help").out
    assert len(said.splitlines()) <= 60
    assert "--list-traits" in said
    assert not any(f"  {name} " in said for name in TRAITS)
