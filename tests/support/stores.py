"""S3 servers that are not ours: moto's, and s3rver from the folder that OPUS_ASYNC_TEST_NPM names."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import ProxyHandler, Request, build_opener

import botocore.config
import botocore.session

NPM = os.environ.get("OPUS_ASYNC_TEST_NPM")  # read here: a fixture clears OPUS_* for each test
OPENER = build_opener(ProxyHandler({}))


class Store:
    """An S3 server on a free port.

    Attributes:
        port: Of the server, on 127.0.0.1.
        key: Of an account, that it takes; the secret is the same.
    """

    def __init__(self, port: int, key: str) -> None:
        self.port = port
        self.key = key
        self._client = botocore.session.get_session().create_client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=key,
            aws_secret_access_key=key,
            config=botocore.config.Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What makes libraries use it, and nothing of the machine's own."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "FSSPEC_S3": '{"config_kwargs": {"s3": {"addressing_style": "path"}}}',
        }

    def make_bucket(self, bucket: str) -> None:
        self._send(Request(f"{self.endpoint}/{quote(bucket)}", method="PUT"))

    def put(self, bucket: str, key: str, content: bytes | BinaryIO) -> None:
        headers = {"Content-Type": "application/octet-stream"}  # or urllib says that it is a form
        if not isinstance(content, bytes):
            headers["Content-Length"] = str(os.fstat(content.fileno()).st_size)
        url = self._signed("put_object", bucket, key)
        self._send(Request(url, data=content, method="PUT", headers=headers))

    def delete(self, bucket: str, key: str) -> None:
        self._send(Request(self._signed("delete_object", bucket, key), method="DELETE"))

    def get(self, bucket: str, key: str) -> bytes | None:
        try:
            return self._send(Request(self._signed("get_object", bucket, key)))
        except HTTPError as error:
            error.close()
            if error.code == 404:
                return None
            raise

    def presigned(self, bucket: str, key: str) -> str:
        return self._signed("get_object", bucket, key)

    def _signed(self, method: str, bucket: str, key: str) -> str:
        return self._client.generate_presigned_url(
            method, Params={"Bucket": bucket, "Key": key}, ExpiresIn=600
        )

    def _send(self, request: Request) -> bytes:
        with OPENER.open(request) as answer:
            return answer.read()


@contextmanager
def moto_server(*, locked: bool = False) -> Iterator[Store]:
    """A server that lets anybody in; or nobody, once it is locked."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _running(command, port, INITIAL_NO_AUTH_ACTION_COUNT="0" if locked else "1000000000"):
        yield Store(port, "testing")


@contextmanager
def s3rver(folder: Path, bucket: str) -> Iterator[Store]:
    """With one bucket. Raises LookupError where it is not installed."""
    program = Path(NPM or "") / "node_modules" / ".bin" / "s3rver"
    if not NPM or not program.exists():
        raise LookupError("OPUS_ASYNC_TEST_NPM names no s3rver: npm install --prefix FOLDER s3rver@3")
    port = free_port()
    command = [str(program), "--directory", str(folder), "--address", "127.0.0.1", "--port", str(port)]
    with _running([*command, "--configure-bucket", bucket, "--silent"], port):
        yield Store(port, "S3RVER")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def _running(command: list[str], port: int, **environment: str) -> Iterator[None]:
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=quiet, stderr=quiet, env={**os.environ, **environment})
    try:
        deadline = time.monotonic() + 60
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, f"{command[0]} ended"
            assert time.monotonic() < deadline, f"{command[0]} does not listen"
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(10)
