"""Uploads to a storage that is not ours: s3rver, with URLs that botocore signed.

s3rver comes from the folder that OPUS_ASYNC_TEST_NPM names (`npm install --prefix FOLDER newman@6 s3rver@3`).
It reads version 4 URLs without checking their signature, and checks the signature of version 2 URLs, which
covers the Content-Type always: what must be refused is tested with those.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest
from client_tools import QUICK, sha256

from opus_async import Timeouts, UploadError
from opus_async.opus.client_secrets import ClientSecrets
from opus_async.opus.protocol.api_messages import PresignedUpload, PresignFields
from opus_async.opus.uploads import Uploader
from opus_async.transport.dispatch import Dispatcher
from opus_async.transport.files import put_file
from opus_async.transport.http import Http
from opus_async.transport.limits import RequestLimiter
from opus_async.transport.retry import Retrier
from opus_async.transport.sources import BytesSource, PathSource
from opus_async.transport.urls import signed_headers

NPM = os.environ.get("OPUS_ASYNC_TEST_NPM")  # read here: a fixture clears OPUS_* for each test
BUCKET = "opus-test"
OPENER = build_opener(ProxyHandler({}))


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    """A storage on a free port, and botocore clients of it by the version of their signatures."""
    if not NPM:
        pytest.skip("OPUS_ASYNC_TEST_NPM is not set: npm install --prefix FOLDER newman@6 s3rver@3")
    program = Path(NPM) / "node_modules" / ".bin" / "s3rver"
    if not program.exists():
        pytest.skip(f"there is no s3rver in {NPM}: npm install --prefix {NPM} s3rver@3")
    import botocore.config
    import botocore.session

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("s3rver")
    process = subprocess.Popen(
        [
            program,
            *("--directory", folder),
            *("--address", "127.0.0.1"),
            *("--port", str(port)),
            *("--configure-bucket", BUCKET),
            "--silent",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _until_listening(process, port)

        def client(version):
            return botocore.session.get_session().create_client(
                "s3",
                endpoint_url=f"http://127.0.0.1:{port}",
                region_name="us-east-1",
                aws_access_key_id="S3RVER",
                aws_secret_access_key="S3RVER",
                config=botocore.config.Config(signature_version=version, s3={"addressing_style": "path"}),
            )

        yield {2: client("s3"), 4: client("s3v4")}
    finally:
        process.terminate()
        process.wait(10)


def _until_listening(process, port):
    deadline = time.monotonic() + 20
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, "s3rver ended"
        assert time.monotonic() < deadline, "s3rver does not listen"
        time.sleep(0.05)


def presign_put(s3, key, content_type=None, version=4):
    fields = {"Bucket": BUCKET, "Key": key} | ({"ContentType": content_type} if content_type else {})
    return s3[version].generate_presigned_url("put_object", Params=fields, ExpiresIn=600)


def fetch(s3, key):
    """What storage has, and as what type."""
    url = s3[4].generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": key}, ExpiresIn=600)
    with OPENER.open(url) as answer:
        return answer.read(), answer.headers["Content-Type"]


@pytest.fixture
async def http():
    made = Http(Timeouts())
    yield made
    await made.close()


async def put(http, url, source, content_type):
    return await put_file(http, url, source, content_type=content_type, stall=5)


KEYS = [
    "media/plain.pdf",
    "media/with space.pdf",
    "media/plus+sign.pdf",
    "media/(brackets).pdf",
    "media/größe-日本.pdf",
    "media/a&b=c;d,e'f!.pdf",
    "media/100%25.pdf",
    "media/~tilde@at.pdf",
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("content_type", [None, "application/pdf"])
async def test_s3_upload_stores_all_bytes_under_any_key(s3, http, tmp_path, key, content_type):
    content = os.urandom(300_000)
    path = tmp_path / "document.pdf"
    path.write_bytes(content)
    url = presign_put(s3, key, content_type)
    assert ("content-type" in signed_headers(url)) == bool(content_type)
    response = await put(http, url, PathSource(path), content_type)
    assert response.status == 200
    stored, kind = await asyncio.to_thread(fetch, s3, key)
    assert stored == content
    if content_type:
        assert kind == content_type


@pytest.mark.parametrize("size", [1, 65_536, 10 * 1024 * 1024])
async def test_s3_upload_stores_all_bytes_of_any_size(s3, http, size):
    content = os.urandom(size)
    await put(http, presign_put(s3, f"size/{size}"), BytesSource("a.pdf", content), None)
    stored, _ = await asyncio.to_thread(fetch, s3, f"size/{size}")
    assert sha256(stored) == sha256(content)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("content_type", [None, "application/pdf"])
async def test_s3_upload_passes_signature_check(s3, http, key, content_type):
    url = presign_put(s3, key, content_type, version=2)
    assert (await put(http, url, BytesSource("a.pdf", key.encode()), content_type)).status == 200
    stored, _ = await asyncio.to_thread(fetch, s3, key)
    assert stored == key.encode()


async def test_s3_upload_to_altered_url_is_refused(s3, http):
    url = presign_put(s3, "signed key", version=2).replace("signed%20key", "another%20key")
    with pytest.raises(UploadError, match="SignatureDoesNotMatch") as caught:
        await put(http, url, BytesSource("a.pdf", b"x"), None)
    assert (caught.value.status, caught.value.code) == (403, "SignatureDoesNotMatch")
    assert "S3RVER" not in str(caught.value)


@pytest.mark.parametrize(
    ("signed", "wrong"),
    [("application/pdf", None), ("application/pdf", "text/plain"), (None, "application/pdf")],
)
async def test_s3_upload_with_other_content_type_than_signed_is_refused(s3, http, signed, wrong):
    url = presign_put(s3, "typed", signed, version=2)
    with pytest.raises(UploadError, match="SignatureDoesNotMatch"):
        await put(http, url, BytesSource("a.pdf", b"x"), wrong)
    assert (await put(http, url, BytesSource("a.pdf", b"x"), signed)).status == 200


class Presigner:
    """As much of the API as the uploader asks: places in the other storage."""

    def __init__(self, s3, content_type, version=4):
        self.asked = []
        self.secrets = ClientSecrets("", (), lambda _: ())  # these URLs hold none of a client's secrets
        self._s3 = s3
        self._content_type = content_type
        self._version = version

    async def presign(self, fields, *, waited=0.0):
        key = f"uploader/{len(self.asked)} {fields.original_name}"
        self.asked.append(key)
        url = presign_put(self._s3, key, self._content_type, self._version)
        return PresignedUpload(url, f"https://files.opus.com/{key}")


def uploader(api, http):
    notify = Dispatcher()
    retrier = Retrier(QUICK, RequestLimiter(4), notify=notify)
    return Uploader(
        api, http, RequestLimiter(4), lambda _: retrier, timeouts=Timeouts(), bandwidth=None, notify=notify
    )


@pytest.mark.parametrize("content_type", [None, "application/pdf"])
async def test_s3_upload_needs_one_presigned_url_with_or_without_signed_type(s3, http, content_type):
    api = Presigner(s3, content_type)
    content = os.urandom(100_000)
    fields = PresignFields(extension=".pdf", original_name="größe (1) + 2.pdf")
    uploaded = await uploader(api, http).send(BytesSource("größe (1) + 2.pdf", content), fields, sha256=None)
    [key] = api.asked
    assert uploaded.url.endswith(key)
    stored, _ = await asyncio.to_thread(fetch, s3, key)
    assert stored == content


async def test_s3_upload_refused_without_content_type_is_retried_with_it(s3, http):
    # A version 2 URL does not tell that it was signed for a type: the first attempt is refused.
    api = Presigner(s3, "application/pdf", version=2)
    fields = PresignFields(extension=".pdf", original_name="a.pdf")
    await uploader(api, http).send(BytesSource("a.pdf", b"recovered"), fields, sha256=None)
    [key] = api.asked
    assert await asyncio.to_thread(fetch, s3, key) == (b"recovered", "application/pdf")


async def test_s3_upload_to_url_signed_for_other_type_gives_up_with_clear_error(s3, http):
    api = Presigner(s3, "image/png", version=2)
    fields = PresignFields(extension=".pdf", original_name="a.pdf")
    with pytest.raises(UploadError, match="SignatureDoesNotMatch"):
        await uploader(api, http).send(BytesSource("a.pdf", b"x"), fields, sha256=None)
    assert len(api.asked) == 4


async def test_s3_upload_of_many_files_at_once_stores_all_bytes(s3, http):
    api = Presigner(s3, None)
    sender = uploader(api, http)
    contents = {f"{number}.txt": os.urandom(20_000 + number) for number in range(40)}
    fields = {name: PresignFields(extension=".txt", original_name=name) for name in contents}
    await asyncio.gather(
        *(sender.send(BytesSource(name, data), fields[name], sha256=None) for name, data in contents.items())
    )
    for key in api.asked:
        stored, _ = await asyncio.to_thread(fetch, s3, key)
        assert stored == contents[key.partition(" ")[2]]
