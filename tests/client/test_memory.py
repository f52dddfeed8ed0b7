"""What a batch needs of a client: uploads remembered beyond a process, jobs taken over, files fetched."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from client_tools import DOCUMENT, KEY, TEXT, document, sha256, text_payload

from opus_async import ConfigurationError, JobRequest, NotFound, OpusError
from opus_async.opus import upload_cache as memory_room
from opus_async.opus.upload_cache import LIFE
from opus_async.platform import StartCheck

REPORT = "Rep0rtWithFiles1"
DAY = 24 * 3600


@pytest.fixture(params=["v0", "v1"])
def api(request):
    return request.param


class Kept:
    """A memory: names and values as text."""

    def __init__(self):
        self.texts: dict[str, str] = {}
        self.recalled: list[str] = []

    async def get(self, name):
        self.recalled.append(name)
        await asyncio.sleep(0)
        return self.texts.get(name)

    def put(self, name, value):
        self.texts[name] = value

    def aged(self, seconds):
        for name, text in self.texts.items():
            held = json.loads(text)
            self.texts[name] = json.dumps({**held, "at": held["at"] - seconds})


def puts(simulator):
    return simulator.state(jobs="0")["counters"]["requests"].get("put", 0)


async def run_all(opus, files, memory, **pins):
    """Run a row per file; the platform it ran on, and the digests that the jobs read."""
    lifecycle = opus.lifecycle(DOCUMENT, memory=memory, **pins)
    await lifecycle.platform.open()
    outcomes = await asyncio.gather(*(lifecycle.run(JobRequest({"Document": file})) for file in files))
    return lifecycle.platform, [outcome.raise_for_status().outputs["SHA-256"] for outcome in outcomes]


# Uploads


async def test_upload_cache_is_reused_by_second_process(simulate, connect):
    simulator, kept = await simulate(), Kept()
    contents = [document(number) for number in range(5)]
    files = [(f"{number}.txt", content) for number, content in enumerate(contents)]
    first, digests = await run_all(connect(simulator), files, kept)
    assert (puts(simulator), first.uploads_reused, len(kept.texts)) == (5, 0, 5)
    second, again = await run_all(connect(simulator), files + files, kept)
    assert (puts(simulator), second.uploads_reused) == (5, 10)
    assert digests == [sha256(content) for content in contents]
    assert again == digests * 2
    assert simulator.state()["counters"]["requests"]["presign"] == 5


async def test_upload_cache_is_queried_once_per_content(simulate, connect):
    simulator, kept = await simulate(), Kept()
    platform, _ = await run_all(connect(simulator), [(f"{n}.txt", b"same") for n in range(20)], kept)
    assert (puts(simulator), platform.uploads_reused, len(kept.recalled)) == (1, 19, 1)


async def test_upload_is_repeated_in_each_run_without_cache(simulate, connect):
    simulator = await simulate()
    opus = connect(simulator)
    for _ in range(2):
        await run_all(opus, [("a.txt", b"same"), ("b.txt", b"same")], None)
    assert puts(simulator) == 2


@pytest.mark.parametrize("other", [("a.csv", b"same"), ("a.txt", b"diff"), ("a.txt", b"longer")])
async def test_upload_cache_misses_on_other_content_or_extension(simulate, connect, other):
    simulator, kept = await simulate(), Kept()
    opus = connect(simulator)
    await run_all(opus, [("a.txt", b"same")], kept)
    platform, _ = await run_all(opus, [other], kept)
    assert (puts(simulator), platform.uploads_reused, len(kept.texts)) == (2, 0, 2)


async def test_upload_cache_misses_on_other_workflow_or_host(simulate, connect):
    one, two, kept = await simulate(), await simulate(), Kept()
    await run_all(connect(one), [("a.txt", b"same")], kept)
    await run_all(connect(two), [("a.txt", b"same")], kept)
    lifecycle = connect(one).lifecycle(REPORT, memory=kept)
    inputs = {"Document": ("a.txt", b"same"), "Text": "x"}
    (await lifecycle.run(JobRequest(inputs))).raise_for_status()
    assert (puts(one), puts(two), len(kept.texts)) == (2, 1, 3)


async def test_upload_cache_is_not_shared_between_api_versions(simulate, connect, api):
    simulator, kept = await simulate(), Kept()
    await run_all(connect(simulator), [("a.txt", b"same")], kept)
    await run_all(connect(simulator, api="v1" if api == "v0" else "v0"), [("a.txt", b"same")], kept)
    assert puts(simulator) == 2


@pytest.mark.parametrize(("age", "sent_again"), [(DAY - 60, 0), (DAY + 60, 1), (-DAY - 60, 1), (-60, 0)])
async def test_upload_cache_entry_expires_after_one_day(simulate, connect, age, sent_again):
    simulator, kept = await simulate(), Kept()
    await run_all(connect(simulator), [("a.txt", b"same")], kept)
    kept.aged(age)
    await run_all(connect(simulator), [("a.txt", b"same")] * 3, kept)
    assert puts(simulator) == 1 + sent_again
    [text] = kept.texts.values()
    assert (abs(time.time() - json.loads(text)["at"]) < 50) is bool(sent_again)


async def test_upload_cache_entry_expires_during_a_long_run(simulate, connect, monkeypatch):
    simulator, kept = await simulate(), Kept()
    lifecycle = connect(simulator).lifecycle(DOCUMENT, memory=kept)
    request = JobRequest({"Document": ("a.txt", b"same")})
    for expected in (1, 1):
        assert (await lifecycle.run(request)).ok
        assert puts(simulator) == expected
    tomorrow = time.time() + LIFE
    monkeypatch.setattr(memory_room.time, "time", lambda: tomorrow)
    outcomes = await asyncio.gather(*(lifecycle.run(request) for _ in range(5)))
    assert all(outcome.ok for outcome in outcomes)
    assert (puts(simulator), lifecycle.platform.uploads_reused) == (2, 5)


@pytest.mark.parametrize(
    "text", ["", "x", "[]", "null", '{"url": 3, "size": 4, "at": 1}', '{"url": "https://a", "at": 1}']
)
async def test_upload_cache_ignores_malformed_entries(simulate, connect, text):
    simulator, kept = await simulate(), Kept()
    await run_all(connect(simulator), [("a.txt", b"same")], kept)
    kept.texts = dict.fromkeys(kept.texts, text)
    _, digests = await run_all(connect(simulator), [("a.txt", b"same")], kept)
    assert (puts(simulator), digests) == (2, [sha256(b"same")])


@pytest.mark.parametrize(
    ("url", "kept_ones"),
    [
        ("https://files.opus.com/media/a.txt", 1),
        ("https://files.opus.com/media/a.txt?X-Amz-Signature=5ec3e7", 0),
        ("https://files.opus.com/media/a.txt?", 0),
        ("https://user:5ec3e7@files.opus.com/media/a.txt", 0),
    ],
)
async def test_upload_cache_does_not_store_urls_with_query_or_credentials(
    simulate, connect, monkeypatch, url, kept_ones
):
    simulator, kept = await simulate(), Kept()
    opus = connect(simulator)
    sent = opus._api.presign

    async def presign(fields, **_):
        place = await sent(fields)
        return type(place)(place.put_url, url)

    monkeypatch.setattr(opus._api, "presign", presign)
    lifecycle = opus.lifecycle(DOCUMENT, memory=kept)
    for _ in range(2):
        ready = await lifecycle.platform.prepare(
            await lifecycle.platform.bind(JobRequest({"Document": ("a.txt", b"same")}))
        )
        assert [entry["value"] for entry in ready.values()] == [url]
    assert puts(simulator) == 1, "known while this run lasts"
    assert len(kept.texts) == kept_ones
    told = str(kept.texts) + str(kept.recalled)
    assert "5ec3e7" not in told
    assert KEY[1:] not in told


async def test_upload_cache_does_not_store_failed_uploads(handmade, connect):
    from handmade_opus import xml_error

    server = await handmade(script={"put": [xml_error(400, "EntityTooLarge")]})
    kept = Kept()
    uploads = connect(server, api="v0").lifecycle("w", memory=kept).platform._uploads
    from opus_async.opus.protocol.api_messages import PresignFields
    from opus_async.transport.sources import BytesSource

    source, fields = BytesSource("a.txt", b"same"), PresignFields(extension=".txt")
    with pytest.raises(OpusError, match="EntityTooLarge"):
        await uploads.send(source, fields)
    assert kept.texts == {}
    assert (await uploads.send(source, fields)).url
    assert len(kept.texts) == 1


async def test_upload_cache_read_error_fails_only_its_row(simulate, connect):
    class Broken(Kept):
        async def get(self, name):
            if not self.recalled:
                self.recalled.append(name)
                raise OpusError("the ledger cannot be read")
            return await super().get(name)

    simulator = await simulate()
    lifecycle = connect(simulator).lifecycle(DOCUMENT, memory=Broken())
    request = JobRequest({"Document": ("a.txt", b"same")})
    with pytest.raises(OpusError, match="ledger cannot be read") as caught:
        await lifecycle.run(request)
    assert caught.value.stage == "upload"
    assert (await lifecycle.run(request)).ok


# What a batch needs of a client


async def test_platform_reports_workflow_and_identity_after_open(simulate, connect, api):
    simulator = await simulate()
    lifecycle = connect(simulator).lifecycle(DOCUMENT)
    await lifecycle.platform.open()
    assert lifecycle.platform.workflow.workflow_id == DOCUMENT
    assert "Document" in [field.display_name for field in lifecycle.platform.workflow.inputs.values()]
    assert lifecycle.platform.identity == {"platform": "opus", "host": simulator.base_url, "generation": api}


async def test_platform_identity_names_detected_api_version(simulate, connect, api):
    simulator = await simulate(generations=api)
    lifecycle = connect(simulator, api="auto").lifecycle(TEXT)
    await lifecycle.platform.open()
    assert lifecycle.platform.identity["generation"] == api


@pytest.mark.parametrize("files", [0, 1, 3])
async def test_platform_estimated_requests_match_requests_sent(simulate, connect, files):
    simulator = await simulate()
    workflow = {0: TEXT, 1: DOCUMENT, 3: "P0stmanC0llecti0"}[files]
    inputs = {
        0: {"Text": "x"},
        1: {"Document": ("a.txt", b"a")},
        3: {"Files": [(f"{n}.txt", document(n)) for n in range(3)]},
    }[files]
    lifecycle = connect(simulator).lifecycle(workflow)
    await lifecycle.platform.open()
    before = simulator.state()["counters"]["requests"]
    assert (await lifecycle.run(JobRequest(inputs))).ok
    after = simulator.state()["counters"]["requests"]
    asked = {name: number - before.get(name, 0) for name, number in after.items()}
    looks = asked.pop("status")
    assert looks >= 1
    assert sum(asked.values()) == lifecycle.platform.estimated_requests(files)


async def test_platform_open_raises_on_unknown_workflow_or_version(simulate, connect):
    opus = connect(await simulate())
    with pytest.raises(NotFound):
        await opus.lifecycle("n0SuchWorkflow00").platform.open()
    with pytest.raises(NotFound):
        await opus.lifecycle(TEXT, version_number=99).platform.open()
    await opus.close()
    with pytest.raises(ConfigurationError, match="closed"):
        opus.lifecycle(TEXT)


async def test_platform_version_pin_is_default_for_rows_without_one(simulate, connect):
    simulator = await simulate()
    opus = connect(simulator)
    one = (await opus.workflows.get(TEXT, version=1)).version_id
    lifecycle = opus.lifecycle(TEXT, version_number=2)
    await lifecycle.platform.open()
    for request, expected in (
        (JobRequest({"Text": "x"}), (2, None)),
        (JobRequest({"Text": "x"}, version_number=1), (1, None)),
        (JobRequest({"Text": "x"}, version_id=one), (None, one)),
    ):
        outcome = await lifecycle.run(request)
        sent = simulator.state()["jobs"][outcome.job_id]["request"]
        assert (sent.get("workflowVersionNumber"), sent.get("workflowVersionId")) == expected
    by_id = opus.lifecycle(TEXT, version_id=one)
    await by_id.platform.open()
    outcome = await by_id.run(JobRequest({"Text": "x"}))
    assert simulator.state()["jobs"][outcome.job_id]["request"]["workflowVersionId"] == one


@pytest.mark.parametrize(("pin", "of_the_run"), [(1, None), (None, 2), (3, 2), (None, None)])
async def test_start_check_compares_recovered_job_with_unstarted_job_of_same_version(
    simulate, connect, pin, of_the_run
):
    simulator = await simulate()
    opus = connect(simulator)
    number = pin or of_the_run
    job_id = await opus.jobs.initiate(TEXT, version_number=number)
    platform = opus.lifecycle(TEXT, version_number=of_the_run).platform
    platform.attach(job_id, JobRequest({"Text": "x"}, version_number=pin))
    assert await platform.check_started(job_id) is StartCheck.NOT_STARTED
    assert platform.orphaned_jobs == 1
    jobs = simulator.state()["jobs"]
    assert {job["request"].get("workflowVersionNumber") for job in jobs.values()} == {number}
    await platform.start(job_id, text_payload("x"))
    assert await platform.check_started(job_id) is StartCheck.RUNNING


# Files that jobs leave


async def left_by_a_job(opus):
    lifecycle = opus.lifecycle(REPORT)
    outcome = await lifecycle.run(JobRequest({"Document": ("a.txt", b"one\n"), "Text": "x"}))
    return lifecycle.platform, outcome.raise_for_status()


@pytest.mark.parametrize("trait", [None, "download_needs_workspace", "download_refuses_workspace"])
async def test_platform_finds_and_fetches_output_files(simulate, connect, tmp_path, trait):
    simulator = await simulate(traits=frozenset({trait} if trait else ()))
    platform, outcome = await left_by_a_job(connect(simulator))
    files = platform.files_in(outcome.results)
    assert [name for name, _ in files] == ["Report", "Attachments", "Attachments"]
    known = simulator.state()["jobs"][outcome.job_id]["output_files"]
    for number, (_, url) in enumerate(files):
        wanted = tmp_path / f"{number}.bin"
        got = await platform.fetch(url, wanted)
        assert got.path == wanted
        assert got.sha256 == sha256(wanted.read_bytes()) == known[url]
        assert got.size == wanted.stat().st_size
    assert len(list(tmp_path.iterdir())) == 3


async def test_platform_fetch_never_overwrites_existing_path(simulate, connect, tmp_path):
    platform, outcome = await left_by_a_job(connect(await simulate()))
    url = platform.files_in(outcome.results)[0][1]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("kept")
    for name, make in (
        ("file", lambda path: path.write_text("kept")),
        ("link", lambda path: path.symlink_to(elsewhere)),
        ("folder", lambda path: path.mkdir()),
    ):
        taken = tmp_path / name
        make(taken)
        with pytest.raises(OpusError, match=r"came to be|cannot be written"):
            await platform.fetch(url, taken)
    assert (tmp_path / "file").read_text() == elsewhere.read_text() == "kept"
    assert list((tmp_path / "folder").iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"elsewhere", "file", "link", "folder"}
    with pytest.raises(OpusError, match="make its folder first"):
        await platform.fetch(url, tmp_path / "none" / "a.txt")
