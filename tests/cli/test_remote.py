"""Documents, manifests and exports elsewhere, as a user of the command line has them."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from hashlib import sha256

import pytest
from batch_command import DOCUMENT
from store_fixtures import BUCKET, server, store

from opus_async.cli.batch.spec_options import folder_name

__all__ = ["server", "store"]

pytest.importorskip("s3fs", reason="pip install 'opus-async[s3]'")


@pytest.fixture
def there(store, to):
    """The environment that leads to the simulator and to the store."""
    return {**to, **store.environment}


def put_notes(store, folder, number):
    for index in range(number):
        store.put(BUCKET, f"{folder}/note-{index}.txt", f"note {index}\n".encode() * (index + 1))


def test_run_takes_a_url_for_a_file(store, there, process):
    put_notes(store, "one", 1)
    said = process("run", DOCUMENT, "--file", f"Document=s3://{BUCKET}/one/note-0.txt", env=there)
    assert said.code == 0, said.err
    assert said.json["Lines"] == 1


def test_batch_of_a_quoted_pattern_runs_and_exports_to_the_store(store, there, opus, process):
    put_notes(store, "many", 3)
    where = f"s3://{BUCKET}/many/*.txt"
    checked = opus("batch", "validate", where, "--workflow", DOCUMENT, env=there)
    assert checked.code == 0, checked.err
    assert "3 files" in checked.out
    ran = process("batch", "run", where, "--workflow", DOCUMENT, "--out", "b", env=there)
    assert ran.code == 0, ran.err
    for form in ("csv", "jsonl", "xlsx", "parquet"):
        place = f"s3://{BUCKET}/many/out/table.{form}"
        said = opus("batch", "export", "b", "--format", form, "--output", place, env=there)
        assert (said.code, said.out) == (0, f"{place}\n"), said.err
    table = store.get(BUCKET, "many/out/table.csv").decode("utf-8-sig")
    assert [row["file"] for row in csv.DictReader(io.StringIO(table))] == [
        f"note-{index}.txt" for index in range(3)
    ]
    assert store.get(BUCKET, "many/out/table.parquet").startswith(b"PAR1")
    assert store.get(BUCKET, "many/out/table.xlsx").startswith(b"PK")
    assert json.loads(store.get(BUCKET, "many/out/table.jsonl").splitlines()[0])["state"] == "completed"


def test_manifest_in_a_store_is_validated_by_its_own_name(store, there, opus):
    store.put(BUCKET, "wrong/m.csv", b"Document\nnone.txt\nnote-0.txt\n")
    put_notes(store, "wrong", 1)
    where = f"s3://{BUCKET}/wrong/m.csv"
    said = opus("batch", "validate", where, "--workflow", DOCUMENT, "--json", "-", env=there)
    assert said.code == 2
    told = json.dumps(said.out)
    assert f"s3://{BUCKET}/wrong/none.txt" in told
    assert "opus-async-manifest" not in told + said.err


def test_broken_manifest_in_a_store_is_told_by_its_own_name(store, there, opus):
    store.put(BUCKET, "broken/m.xlsx", b"no workbook")
    said = opus("batch", "validate", f"s3://{BUCKET}/broken/m.xlsx", "--workflow", DOCUMENT, env=there)
    assert said.code == 2
    assert "opus-async-manifest" not in said.err + said.out
    assert "m.xlsx" in said.err


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("s3://documents/nothing-here/", "does not exist|has no documents"),
        ("s3://documents/nothing-here/*.txt", "matches no document"),
        ("s3://documents/none.csv", "'s3://documents/none.csv' does not exist"),
        ("s3://no-such-bucket/m.csv", "a bucket that does not exist"),
        ("s3://*/m.csv", "a pattern begins with the name of one bucket"),
        ("nosuch://bucket/m.csv", "no library is known for nosuch://bucket/m.csv"),
        ("s3://documents/a.zip", "does not exist"),
    ],
)
def test_manifest_that_is_not_there_is_told(there, opus, where, message):
    said = opus("batch", "run", where, "--workflow", DOCUMENT, "--out", "b", env=there)
    assert said.code == 2
    assert any(part in " ".join(said.err.split()) for part in message.split("|")), said.err


@pytest.mark.parametrize("words", [["batch", "run", "m.csv"], ["load", "run", "--jobs", "1"]])
def test_directory_of_a_run_lies_on_a_disk(opus, to, words):
    said = opus(*words, "--workflow", DOCUMENT, "--out", "s3://documents/b", env=to)
    assert said.code == 2
    assert "has to lie on a disk" in " ".join(said.err.split())


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("s3://no-such-bucket/t.csv", "a bucket that does not exist"),
        ("https://example.invalid/t.csv", "nothing can be written to an http(s) URL"),
    ],
)
def test_export_to_where_nothing_can_be_written_is_told(store, there, opus, place, message):
    put_notes(store, "unwritten", 1)
    where = f"s3://{BUCKET}/unwritten/"
    assert opus("batch", "run", where, "--workflow", DOCUMENT, "--out", "b", env=there).code == 0
    said = opus("batch", "export", "b", "--format", "csv", "--output", place, env=there)
    assert (said.code, said.out) == (2, "")
    assert message in " ".join(said.err.split())


def zipped(**members):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_", "."), content)
    return packed.getvalue()


def test_manifest_read_through_a_cache_names_documents_beside_it(store, there, process):
    put_notes(store, "cached", 2)
    store.put(BUCKET, "cached/m.csv", b"key,Document\nK0,note-0.txt\nK1,note-1.txt\n")
    where = f"simplecache::s3://{BUCKET}/cached/m.csv"
    said = process("batch", "run", where, "--workflow", DOCUMENT, "--out", "b", env=there)
    assert said.code == 0, said.err
    assert "completed  2" in said.out


def test_manifest_inside_of_a_file_has_nothing_beside_it(store, there, process):
    put_notes(store, "packed", 1)
    document = f"s3://{BUCKET}/packed/note-0.txt"
    table = f"key,Document\nK0,{document}\nK1,note-0.txt\nK2,zip://a.txt::s3://{BUCKET}/packed/m.zip\n"
    store.put(BUCKET, "packed/m.zip", zipped(m_csv=table, a_txt="packed"))
    where = f"zip://m.csv::s3://{BUCKET}/packed/m.zip"
    words = ("batch", "run", where, "--workflow", DOCUMENT, "--out", "b", "--allow-outside")
    refused = process(*words, env=there)
    assert refused.code == 2
    told = " ".join(refused.err.split())
    assert "1 of 3 rows cannot be run" in told
    assert f"'note-0.txt' beside the manifest, which lies inside of another file, '{where}'" in told
    assert "line 3" in told
    assert "name the document by its whole URL" in told
    said = process(*words, "--skip-invalid", env=there)
    assert said.code == 1, said.err
    assert "completed  2" in said.out


@pytest.mark.parametrize("where", ["zip://*.txt::s3://{}/listed/m.zip", "zip://in::s3://{}/listed/m.zip"])
def test_documents_inside_of_a_file_are_not_listed(store, there, process, where):
    store.put(BUCKET, "listed/m.zip", zipped(**{"in/a_txt": "packed", "b_txt": "packed"}))
    said = process("batch", "run", where.format(BUCKET), "--workflow", DOCUMENT, "--out", "b", env=there)
    assert said.code == 2
    assert "inside of another file, which is not listed" in " ".join(said.err.split())


def test_load_test_takes_documents_from_a_store(store, there, process, simulator):
    contents = [f"{store.endpoint}, note {index}\n".encode() for index in range(2)]
    for index, content in enumerate(contents):
        store.put(BUCKET, f"load/note-{index}.txt", content)
    said = process(
        *("load", "run", "--workflow", DOCUMENT, "--inputs", f"s3://{BUCKET}/load/", "--out", "l"),
        *("--concurrency", "2", "--jobs", "4", "--yes", "--json"),
        env=there,
    )
    assert said.json["counts"]["completed"] == 4, said.err
    uploaded = [upload.get("sha256") for upload in simulator.state()["uploads"].values()]
    assert [uploaded.count(sha256(content).hexdigest()) for content in contents] == [2, 2]
    assert said.code == {"PASS": 0, "INVALID": 7}[said.json["verdict"]], "INVALID where the machine is busy"


def test_name_of_the_batch_directory_is_proposed():
    assert folder_name("s3://bucket/invoices/*.pdf") == "invoices-batch"
    assert folder_name("s3://bucket/invoices.csv") == "invoices-batch"
