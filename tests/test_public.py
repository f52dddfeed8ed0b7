"""The surface that users hold on to: names, signatures, defaults, and what an import costs."""

from __future__ import annotations

import inspect
import json
import pickle
import subprocess
import sys
import textwrap
from importlib import import_module
from importlib.util import find_spec

import pytest
from pydantic import BaseModel, ValidationError

import opus_async
from opus_async import (
    JobOutcome,
    JobStatus,
    JobStream,
    Limits,
    OpusClient,
    RetryPolicy,
    Timeouts,
    Workflow,
)

KEY = "_" + "5e" * 48
HOMES = opus_async._HOMES

# Names


def test_package_all_is_sorted_and_every_name_exists():
    assert opus_async.__all__ == sorted(opus_async.__all__)
    assert len(set(opus_async.__all__)) == len(opus_async.__all__)
    for name in opus_async.__all__:
        assert getattr(opus_async, name) is not None
    assert dir(opus_async) == opus_async.__all__


def test_package_all_matches_lazy_import_table():
    lazily = {name for names in HOMES.values() for name in names}
    assert lazily | {"__version__"} == set(opus_async.__all__)
    for module, names in HOMES.items():
        home = import_module(module)
        for name in names:
            assert getattr(opus_async, name) is getattr(home, name)


def test_package_all_matches_type_checking_imports():
    source = inspect.getsource(opus_async)
    block = source.partition("if TYPE_CHECKING:")[2].partition("__version__")[0]
    names = {}
    exec(textwrap.dedent(block), names)  # our own source
    assert set(names) - {"__builtins__"} == set(opus_async.__all__) - {"__version__"}


def test_package_all_exports_every_error_class():
    errors = import_module("opus_async.errors")
    kinds = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, errors.OpusError)
    }
    assert kinds <= set(opus_async.__all__)


def test_package_raises_attribute_error_for_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'Opus'"):
        _ = opus_async.Opus
    with pytest.raises(ImportError):
        from opus_async import Opus  # noqa: F401


def test_package_import_loads_no_heavy_modules():
    program = (
        "import sys, json; before = set(sys.modules); import opus_async; "
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout)
    heavy = {"aiohttp", "pydantic", "asyncio", "backoff", "aiofiles", "rich", "yarl"}
    assert not heavy & {name.partition(".")[0] for name in loaded}
    assert [name for name in loaded if name.startswith("opus_async")] == ["opus_async", "opus_async._lazy"]


def test_package_values_load_no_network_library():
    program = (
        "import sys; from opus_async import JobRequest, JobStatus, OpusError, JobOutcome; "
        "assert not {'aiohttp', 'pydantic'} & set(sys.modules), 'heavy'"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


NOT_FOR_A_CLIENT = {
    "of others": {
        *("aiohttp.web", "difflib", "html", "http.server", "pydantic.main", "rich", "sqlite3", "termios"),
        *("fsspec", "jinja2", "uvloop"),
    },
    "other rooms": {
        *("opus_async.batch", "opus_async.cli", "opus_async.live_page", "opus_async.load"),
        *("opus_async.manifests", "opus_async.metrics", "opus_async.operativus", "opus_async.progress"),
        *("opus_async.reporting", "opus_async.simulator", "opus_async.testing", "opus_async.typed"),
    },
    "calls beside run and run_many": {
        *("opus_async.opus.files", "opus_async.opus.jobs", "opus_async.opus.job_search"),
        *("opus_async.opus.protocol.audit", "opus_async.opus.protocol.job_management"),
    },
    "downloads": {
        *("opus_async.filenames", "opus_async.opus.download_paths"),
        *("opus_async.transport.download", "opus_async.transport.part_file"),
    },
    "documents elsewhere": {
        *("opus_async.remote.access", "opus_async.remote.facts", "opus_async.remote.found"),
        *("opus_async.remote.health", "opus_async.remote.libraries", "opus_async.remote.reading"),
        *("opus_async.remote.refusals", "opus_async.remote.source", "opus_async.remote.stores"),
    },
    "what goes wrong": {
        *("opus_async.opus.protocol.error_advice", "opus_async.wire.api_errors"),
        *("opus_async.opus.protocol.snapshots", "opus_async.transport.s3_errors"),
        *("opus_async.transport.learned_limit", "opus_async.transport.pace"),
        *("opus_async.transport.rate_estimate", "opus_async.transport.refusals"),
    },
}
"""Modules that a client can do most jobs without, by what they are for. Each is imported where it is used."""


@pytest.fixture(scope="module")
def after_client():
    """The modules of a program that has looked up the client."""
    program = "import json, sys; from opus_async import OpusClient; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("purpose", NOT_FOR_A_CLIENT)
def test_package_client_loads_nothing_that_most_jobs_do_without(after_client, purpose):
    assert not NOT_FOR_A_CLIENT[purpose].intersection(after_client)


def test_every_module_that_a_client_does_without_exists():
    for name in set.union(*NOT_FOR_A_CLIENT.values()):
        assert not name.startswith("opus_async") or find_spec(name) is not None, name


def test_package_version_matches_distribution():
    from importlib.metadata import version

    assert opus_async.__version__ == version("opus-async")


# Docstrings


def documented():
    for name in opus_async.__all__:
        value = getattr(opus_async, name)
        if not (inspect.isclass(value) or inspect.isfunction(value)):
            continue
        yield name, value
        for member, thing in vars(value).items() if inspect.isclass(value) else ():
            if member.startswith("_"):
                continue
            if isinstance(thing, property):
                yield f"{name}.{member}", thing.fget
            elif inspect.isfunction(thing):
                yield f"{name}.{member}", thing
    client = OpusClient(KEY)
    for part in ("jobs", "files", "workflows"):
        for member, thing in inspect.getmembers(type(getattr(client, part)), inspect.isfunction):
            if not member.startswith("_"):
                yield f"{part}.{member}", thing


@pytest.mark.parametrize(
    ("name", "thing"), list(documented()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_public_api_has_docstrings(name, thing):
    text = inspect.getdoc(thing)
    assert text, f"{name} has no docstring"
    assert text.splitlines()[0].strip(), name


# Signatures


def signature(function):
    """Parameters without self: name -> default, keyword-only ones behind a star."""
    shown = []
    star = False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            star = True
            shown.append("*")
        prefix = {parameter.VAR_KEYWORD: "**", parameter.VAR_POSITIONAL: "*"}.get(parameter.kind, "")
        default = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
        shown.append(f"{prefix}{parameter.name}{default}")
    return ", ".join(shown)


CONTRACTS = """
OpusClient: service_key=None, *, base_url=None, api=None, limits=None, timeouts=None, retry=None,
    callback=None, session=None, listeners=()
OpusClient.run: workflow_id, inputs, *, title=None, description=None, key=None, timeout=None, version_id=None,
    version_number=None, callback=None
OpusClient.run_many: workflow_id, rows, *, max_in_flight=None, callback=None, progress=False
OpusClient.lifecycle: workflow_id, *, memory=None, version_number=None, version_id=None, callback=None
OpusClient.close:
JobRequest: inputs, title=None, description=None, key=None, timeout=None, version_id=None, version_number=None
UploadedFile: url, size, sha256=None
RemoteFile: url, filename=None
DownloadedFile: path, size, sha256, content_type=None
workflows.get: workflow_id, *, version=None, version_id=None
jobs.initiate: workflow_id=None, *, reference_entity_id=None, title=None, description=None, version_id=None,
    version_number=None, ref_user_id=None, source=None, workspaces=None, initial_input=None, web_app_id=None
jobs.execute: job_id, inputs, *, workflow=None, callback_url=None, workspaces=None
jobs.status: job_id
jobs.results: job_id
jobs.audit: job_id
jobs.outcome: job_id, *, timeout=None, workflow_id=None
jobs.wait: job_id, *, timeout=None
jobs.wait_many: job_ids
files.upload: source, *, filename=None, access_scope='organization', workflow_id=None, workspace_id=None,
    digest=True, on_progress=None
files.upload_many: sources, **options
files.download: url, destination, *, workspace_id=None, overwrite=False
files.download_many: urls, folder, *, workspace_id=None, overwrite=False
"""


@pytest.mark.parametrize("contract", CONTRACTS.replace("\n    ", " ").strip().splitlines())
def test_public_api_signatures_match_contract(contract):
    path, _, expected = contract.partition(":")
    first, *rest = path.split(".")
    thing = getattr(opus_async if first in opus_async.__all__ else OpusClient(KEY), first)
    for name in rest:
        thing = getattr(thing, name)
    assert signature(thing) == expected.strip()


@pytest.mark.parametrize(
    ("kind", "defaults"),
    [
        (
            Limits,
            {
                "max_in_flight": 500,
                "api_concurrency": 64,
                "upload_concurrency": 32,
                "api_rate": None,
                "poll_rate": None,
                "upload_bandwidth": None,
                "detect_lag": 0.05,
                "max_file_bytes": 10 * 1024 * 1024,
            },
        ),
        (Timeouts, {"connect": 10, "request": 60, "upload_stall": 30, "document": 30, "job": None}),
        (
            RetryPolicy,
            {
                "attempts": 8,
                "max_elapsed": 120,
                "base": 0.25,
                "cap": 20,
                "execute_grace": 15,
                "outage": None,
                "on_ambiguous": "resend",
            },
        ),
    ],
)
def test_settings_have_contract_defaults_and_are_frozen(kind, defaults):
    made = kind()
    assert made.model_dump() == defaults
    for name, value in defaults.items():
        with pytest.raises(ValueError, match="frozen"):
            setattr(made, name, value)
    with pytest.raises(opus_async.ConfigurationError, match=f"{kind.__name__} has no 'unknown'"):
        kind(unknown=1)
    assert pickle.loads(pickle.dumps(made)) == made


@pytest.mark.parametrize(
    "bad", [{"max_in_flight": 0}, {"api_rate": 0}, {"detect_lag": float("nan")}, {"upload_concurrency": 1.5}]
)
def test_limits_refuse_invalid_values(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        Limits(**bad)


def test_job_outcome_workflow_and_job_stream_have_contract_members():
    outcome = JobOutcome(job_id="1", status=JobStatus.COMPLETED)
    assert {
        "job_id",
        "status",
        "ok",
        "outputs",
        "results",
        "error",
        "audit",
        "timings",
        "index",
        "key",
    } <= set(dir(outcome))
    assert outcome.ok
    assert outcome.raise_for_status() is outcome
    assert not JobOutcome(job_id=None, status=None).ok
    assert Workflow(workflow_id="x").inputs == {}
    for method in ("aclose", "__aiter__", "__anext__", "__aenter__", "__aexit__"):
        assert callable(getattr(JobStream, method))


# Status


def test_job_status_is_str_with_raw_form():
    status = JobStatus("COMPLETED", raw="Completed ")
    assert status == JobStatus.COMPLETED == "COMPLETED"
    assert hash(status) == hash("COMPLETED")
    assert {status} == {JobStatus.COMPLETED}
    assert {"COMPLETED": 1}[status] == 1
    assert (status.raw, JobStatus.COMPLETED.raw) == ("Completed ", "COMPLETED")
    assert json.dumps({"status": status}) == '{"status": "COMPLETED"}'
    assert repr(status) == "<COMPLETED 'Completed '>"
    assert f"{status}" == "COMPLETED"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_job_status_survives_pickle(protocol):
    again = pickle.loads(pickle.dumps(JobStatus("UNKNOWN", raw="BRAND_NEW"), protocol))
    assert (type(again), again, again.raw) == (JobStatus, "UNKNOWN", "BRAND_NEW")


def test_job_status_is_terminal_for_the_four_end_states():
    terminal = {"COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"}
    for name in (
        "PENDING",
        "IN_PROGRESS",
        "WAITING",
        "COMPLETED",
        "FAILED",
        "CANCELLED",
        "TIMED_OUT",
        "UNKNOWN",
    ):
        status = getattr(JobStatus, name)
        assert status == name
        assert status.is_terminal is (name in terminal)


# Errors

TREE = {
    "ConfigurationError": ("OpusError", "ValueError"),
    "InvalidInputs": ("OpusError", "ValueError"),
    "APIError": ("OpusError",),
    "AuthenticationError": ("APIError",),
    "PermissionDenied": ("APIError",),
    "NotFound": ("APIError",),
    "ValidationFailed": ("APIError",),
    "RateLimited": ("APIError",),
    "QuotaExhausted": ("APIError",),
    "ServerError": ("APIError",),
    "ProtocolError": ("OpusError",),
    "TransportError": ("OpusError",),
    "HostDown": ("TransportError",),
    "StoreUnavailable": ("TransportError",),
    "UploadError": ("OpusError",),
    "DownloadError": ("OpusError",),
    "JobFailed": ("OpusError",),
    "DeadlineExceeded": ("OpusError", "TimeoutError"),
    "AmbiguousExecution": ("OpusError",),
    "ManifestError": ("OpusError", "ValueError"),
    "WorkflowChanged": ("OpusError",),
    "LoadRefused": ("OpusError", "ValueError"),
    "LedgerError": ("OpusError",),
    "LedgerBusy": ("LedgerError",),
    "LedgerDoubtful": ("LedgerError",),
    "OpusError": ("Exception",),
}


def test_error_classes_have_contract_bases():
    errors = import_module("opus_async.errors")
    for name, bases in TREE.items():
        assert tuple(base.__name__ for base in getattr(errors, name).__bases__) == bases
        assert name in (errors.__doc__ or "")


def test_errors_carry_job_id_and_stage():
    made = {
        "APIError": {"status": 500},
        "TransportError": {"request_sent": False},
        "HostDown": {"host": "operator.opus.com", "seconds": 60.0, "request_sent": False},
        "StoreUnavailable": {"document": "s3://documents/a.pdf", "store": "s3://documents"},
        "UploadError": {"filename": "a.pdf"},
        "DownloadError": {"destination": "a.pdf"},
    }
    for name in TREE:
        kind = getattr(opus_async, name)
        argument = ["a problem"] if name == "InvalidInputs" else "a message"
        for parent in kind.__mro__:
            options = made.get(parent.__name__)
            if options:
                break
        error = kind(argument, **(options or {}))
        assert (error.job_id, error.stage) == (None, None)
        located = error.located(job_id="2514", stage="watch")
        assert located is error
        assert "[job 2514, stage watch]" in str(error)
        assert error.located(job_id="other", stage="other").job_id == "2514"


# The client itself


def test_client_repr_shows_host_and_no_key():
    client = OpusClient(KEY, base_url="https://operator.example.com/")
    assert repr(client) == "<OpusClient https://operator.example.com v0, 0 jobs watched>"
    shown = repr(client) + str(client) + repr(client.jobs) + repr(client.files) + repr(client.workflows)
    assert KEY not in shown
    assert KEY[1:] not in shown


def test_client_constructor_needs_no_loop_and_refuses_bad_settings():
    OpusClient(KEY)
    with pytest.raises(opus_async.ConfigurationError, match="OPUS_SERVICE_KEY"):
        OpusClient()
    with pytest.raises(opus_async.ConfigurationError, match=r"\(api='v9'\): give one of 'v0', 'v1', 'auto'"):
        OpusClient(KEY, api="v9")
    for bad in ("ftp://x", "operator.opus.com", "https://user:secret@host", "https://host?x=1", "https://[x"):
        with pytest.raises(opus_async.ConfigurationError) as caught:
            OpusClient(KEY, base_url=bad)
        assert "secret" not in str(caught.value)


TYPED = """
from collections.abc import AsyncIterator
from pathlib import Path

from opus_async import DownloadedFile, JobOutcome, JobRequest, JobStatus, JobStream, Limits
from opus_async import OpusClient, OpusError, UploadedFile


async def use(rows: list[dict[str, object]], later: AsyncIterator[JobRequest]) -> int:
    async with OpusClient("key", limits=Limits(max_in_flight=5), listeners=[print]) as opus:
        outcome: JobOutcome = await opus.run("w", {"Document": Path("a.pdf"), "Threshold": 0.8}, timeout=9)
        status: JobStatus | None = outcome.status
        error: OpusError | None = outcome.raise_for_status().error
        stream: JobStream = opus.run_many("w", rows)
        async for one in stream:
            print(one.index + 1, one.outputs["Verdict"])
        async with opus.run_many("w", later, max_in_flight=2) as others:
            async for one in others:
                print(one.key)
        job_id: str = await opus.jobs.initiate("w", title="t")
        await opus.jobs.execute(job_id, {"x": {"value": 1, "type": "int"}})
        done: JobStatus = await opus.jobs.wait(job_id, timeout=None)
        async for waited, ended in opus.jobs.wait_many([job_id]):
            print(waited.upper(), ended.is_terminal, ended == JobStatus.COMPLETED)
        file: UploadedFile = await opus.files.upload(b"x", filename="a.txt", access_scope="all")
        files: list[UploadedFile] = await opus.files.upload_many([Path("a.txt"), "b.txt"])
        fetched: DownloadedFile = await opus.files.download(file.url, Path("out"), overwrite=True)
        more: list[DownloadedFile] = await opus.files.download_many([file.url], "out", workspace_id="w")
        print(fetched.path.name, [each.sha256.upper() for each in more])
        reveal_type(await opus.jobs.results(job_id))
        await opus.run("w", 3)  # type: ignore[arg-type]
        await opus.files.upload("a.txt", access_scope="everybody")  # type: ignore[arg-type]
        return len(files) + file.size + len(done) + (status is None) + (error is None)
"""


TYPO = "from opus_async import OpusCleint\n"


@pytest.fixture(scope="module")
def type_checked(tmp_path_factory):
    """What strict mypy says of programs that use the package: name -> lines."""
    home = tmp_path_factory.mktemp("typing")
    programs = {"typing_api.py": TYPED, "typo.py": TYPO}
    for name, program in programs.items():
        (home / name).write_text(program)
    words = ["--strict", "--no-incremental", "--config-file", "", "--cache-dir", home / "cache", *programs]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *words], capture_output=True, text=True, check=False, cwd=home
    )
    assert "Found 1 error in 1 file (checked 2 source files)" in done.stdout, done.stdout + done.stderr
    return {name: [line for line in done.stdout.splitlines() if line.startswith(name)] for name in programs}


def test_public_api_type_checks_with_strict_mypy(type_checked):
    said = type_checked["typing_api.py"]
    assert [line for line in said if ": error:" in line] == []
    assert any('Revealed type is "opus_async.models.results.JobResults"' in line for line in said)


def test_public_values_survive_pickle_deepcopy_and_asdict():
    import copy
    import pickle
    from dataclasses import asdict
    from types import MappingProxyType

    from opus_async import InputField, JobFailed, JobOutcome, JobStatus, Workflow

    field = InputField(variable_name="v", display_name="V", type="str", raw=MappingProxyType({"a": 1}))
    workflow = Workflow(workflow_id="w", inputs=MappingProxyType({"v": field}))
    outcome = JobOutcome(job_id="1", status=JobStatus.FAILED, timings=MappingProxyType({"total": 1.0}))
    error = JobFailed("failed", outcome=outcome, job_id="1")
    for value in (field, workflow, outcome):
        assert pickle.loads(pickle.dumps(value)) == value
        assert copy.deepcopy(value) == value
        assert asdict(value)
    assert pickle.loads(pickle.dumps(error)).outcome == outcome


def test_job_results_keep_outputs_with_the_same_name():
    from opus_async import JobResults, OutputValue

    same = tuple(OutputValue("Verdict", "Verdict", value) for value in ("PASS", "FAIL", "REVIEW"))
    assert list(JobResults(same).outputs.values()) == ["PASS", "FAIL", "REVIEW"]


def test_public_api_misspelt_import_fails_mypy(type_checked):
    (said,) = type_checked["typo.py"]
    assert 'has no attribute "OpusCleint"' in said


def test_settings_hold_whole_numbers_as_floats_where_fractions_fit():
    made = Limits(api_rate=1, max_in_flight=3)
    assert (repr(made.api_rate), repr(made.max_in_flight)) == ("1.0", "3")


def test_settings_can_be_fields_of_a_pydantic_model():
    class Service(BaseModel):
        limits: Limits = Limits()
        timeouts: Timeouts

    read = Service.model_validate({"limits": {"api_rate": 3}, "timeouts": Timeouts(connect=2)})
    assert read.limits == Limits(api_rate=3)
    assert Service.model_validate_json(read.model_dump_json()) == read
    with pytest.raises(ValidationError, match="did you mean 'api_rate'"):
        Service.model_validate({"limits": {"api_rat": 3}, "timeouts": {}})
    with pytest.raises(ValidationError, match="a mapping of its settings"):
        Service.model_validate({"limits": 3, "timeouts": {}})
