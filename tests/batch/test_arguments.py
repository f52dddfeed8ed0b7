"""Arguments of batch functions of the wrong kind are refused in our words before anything is read or sent."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from batch_tools import TEXT
from manifests import csv, given, workflow

from opus_async import ConfigurationError, OpusClient
from opus_async.batch import resolve_batch, resume_batch, retry_batch, run_batch
from opus_async.errors import ManifestError
from opus_async.manifests import open_manifest
from opus_async.manifests.binding.binding import Binding
from opus_async.manifests.binding.habits import Habits
from opus_async.manifests.validation.validate import validate

KEY = "_" + "0a" * 48


@pytest.fixture
async def client():
    """A client that can reach nothing."""
    async with OpusClient(KEY, base_url="https://opus.invalid") as opus:
        yield opus


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"price": "1,5"}, "price='1,5'): give a number above 0, like 0.12; did you mean 1.5?"),
        ({"price": Decimal("0.12")}, "did you mean 0.12?"),
        ({"price": True}, "price=True): give a number above 0"),
        ({"true": 5}, "true=5): give a word for true"),
        ({"false": []}, "false is of type list): give a word for false"),
        ({"decimal": []}, "decimal is of type list): give ',' or '.'"),
        ({"dates": 5}, "dates=5): give 'dmy', 'mdy' or 'ymd'"),
        ({"encoding": 5}, "encoding=5): give the name of an encoding"),
        ({"delimiter": 5}, "delimiter=5): give one character"),
        ({"sheet": 1}, "sheet=1): give the name of a sheet"),
        ({"pad_short_rows": "no"}, "pad_short_rows='no'): give True or False"),
        ({"skip_invalid": "no"}, "skip_invalid='no'): give True or False"),
        ({"allow_outside": None}, "allow_outside=None): give True or False"),
        ({"max_in_flight": "5"}, "max_in_flight='5'): give a whole number of 1 or more; did you mean 5?"),
        ({"start_rate": "20/s"}, "start_rate='20/s'): give a number of rows a second above 0"),
        ({"timeout": "5m"}, "timeout='5m'): give a number of seconds above 0"),
        ({"drain_seconds": -1}, "drain_seconds=-1): give a number of seconds, 0 or more"),
        ({"halt": 5}, "halt=5): give 'soon,fail=5%' or the like"),
        ({"key": 5}, "key=5): give text; did you mean '5'?"),
        ({"columns": {"a": 5}}, "columns is of type dict): give names of columns and of inputs as text"),
        ({"columns": {1: "a"}}, "give names of columns and of inputs as text"),
        ({"constants": {5: "x"}}, "constants is of type dict): give names of inputs as text"),
        ({"version_number": "2"}, "version_number='2'): give a whole number; did you mean 2?"),
        ({"workflow_id": 5}, "workflow_id=5): give text"),
        ({"out": None}, "out=None): give the path of the batch directory"),
        ({"manifest": 5}, "manifest=5): give the path of a file or a folder, or a pattern"),
        ({"manifest": ["a.csv"]}, "manifest is of type list): give the path"),
        ({"client": None}, "client=None): give a client, like OpusClient()"),
        ({"watching": print}, "give BatchObserver(...)"),
        ({"progress": "bar"}, "progress='bar'): give True or False"),
        ({"skip_invalids": True}, "run_batch(...) has no 'skip_invalids': did you mean 'skip_invalid'?"),
    ],
)
async def test_batch_argument_of_the_wrong_kind_is_refused(client, tmp_path, wrong, said):
    options = {"client": client, "manifest": "m.csv", "workflow_id": TEXT, "out": tmp_path / "out", **wrong}
    with pytest.raises(ConfigurationError) as caught:
        await run_batch(**options)
    assert said in str(caught.value)
    assert not (tmp_path / "out").exists()


async def test_batch_manifest_without_a_name_is_refused(client, tmp_path):
    with pytest.raises(ManifestError, match="no manifest was named"):
        await run_batch(client, "", workflow_id=TEXT, out=tmp_path / "out")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"order": 5}, "order is of type int: give a mapping of fields"),
        ({"order": {"colums": {}}}, "order has no 'colums': did you mean 'columns'?"),
        ({"order": {"columns": 5}}, "order(columns=5): give names of columns"),
        ({"order": {"decimal": []}}, "order(decimal is of type list): give ',' or '.'"),
        ({"settings": [1]}, "settings is of type list: give a mapping of fields"),
        ({"settings": {"max_inflight": 5}}, "settings has no 'max_inflight': did you mean 'max_in_flight'?"),
        ({"settings": {"price": "1,5"}}, "settings(price='1,5'): give a number above 0"),
        ({"force": "no"}, "force='no'): give True or False"),
        ({"manifest": 5}, "manifest=5): give the path"),
        ({"client": 5}, "client=5): give a client"),
    ],
)
@pytest.mark.parametrize("work", [resume_batch, retry_batch])
async def test_batch_change_of_the_wrong_kind_is_refused(client, tmp_path, work, wrong, said):
    with pytest.raises(ConfigurationError) as caught:
        await work(**{"client": client, "out": tmp_path, **wrong})
    assert said in str(caught.value)


@pytest.mark.parametrize("only", [5, None, "failed", [5]])
async def test_batch_retry_of_what_is_no_kind_of_rows_is_refused(client, tmp_path, only):
    with pytest.raises(ManifestError, match=r"pass only=\('failed',\)|There are no 5 rows to retry"):
        await retry_batch(client, tmp_path, only=only)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"decision": 5}, "decision=5): give one of 'done', 'retry', 'failed'"),
        ({"keys": "k1"}, "keys='k1'): give a list of keys; did you mean ['k1']?"),
        ({"keys": [5]}, "keys is of type list): give a list of keys"),
        ({"client": 5}, "client=5): give a client"),
    ],
)
async def test_batch_decision_of_the_wrong_kind_is_refused(tmp_path, wrong, said):
    with pytest.raises(ConfigurationError) as caught:
        await resolve_batch(**{"out": tmp_path, "decision": "done", **wrong})
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"encoding": 5}, "encoding=5): give text"),
        ({"delimiter": []}, "delimiter is of type list): give text"),
        ({"where": 5}, "where=5): give a path"),
        ({"sheets": "a"}, "has no 'sheets': did you mean 'sheet'?"),
    ],
)
def test_manifest_argument_of_the_wrong_kind_is_refused(tmp_path, wrong, said):
    with pytest.raises(ConfigurationError) as caught:
        open_manifest(**{"where": csv(tmp_path / "m.csv", "a", "1"), **wrong})
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"manifest": Path("m.csv")}, "validate(manifest=PosixPath('m.csv')): give a manifest"),
        ({"binding": {}}, "binding is of type dict): give Binding(...)"),
        ({"limit": "3"}, "limit='3'): give a whole number, 0 or more; did you mean 3?"),
        ({"price": "1,5"}, "price='1,5'): give a number above 0"),
        ({"pace": 5}, "pace=5): give ThroughputAssumptions(...)"),
        ({"on_problem": 5}, "on_problem=5): give a function"),
        ({"rows": 5}, "has no 'rows'"),
    ],
)
async def test_validation_argument_of_the_wrong_kind_is_refused(tmp_path, wrong, said):
    options = {
        "manifest": open_manifest(csv(tmp_path / "m.csv", "a", "1")),
        "binding": Binding(workflow(given("a"))),
        "platform": None,
        **wrong,
    }
    with pytest.raises(ConfigurationError) as caught:
        await validate(**options)
    assert said in str(caught.value)


@pytest.mark.parametrize("wrong", [{"decimal": []}, {"dates": 5}, {"true": 5}, {"false": object()}])
def test_habit_of_the_wrong_kind_is_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}=.* is no text"):
        Habits(**wrong)
