"""The CPU time of uploads, next to curl and to aiohttp with an open file; the digest; memory at most."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.clients.uploading import AT_ONCE
from benchmarks.harness.comparison import Command, Comparison, Coroutine, Measurement, Side
from benchmarks.harness.figures import Figure, Settings
from benchmarks.serving import Config, Server, serving

OURS, DIGESTED, OPENED, CURL, HASHED = (
    "opus_async",
    "opus_async with digest",
    "data=open()",
    "curl",
    "hashlib alone",
)
_CONDITIONS = (("10 MB", False), ("10 kB", True), ("10 kB", False), ("10 MB", True))
"""The size of the file, and whether it is sent by TLS."""
_RATIOS = ((OURS, OPENED), (DIGESTED, OPENED), (OURS, CURL))


def run(settings: Settings) -> Iterator[Figure]:
    """Compare uploads of 10 kB and 10 MB, with and without TLS."""
    with tempfile.TemporaryDirectory() as folder:
        certificate = _certificate(Path(folder))
        small, large = Path(folder) / "small.bin", Path(folder) / "large.bin"
        small.write_bytes(os.urandom(10_000))
        large.write_bytes(os.urandom(10_000_000))
        with serving(Config(certificate=certificate)) as server:
            for size, secure in _CONDITIONS[: 2 if settings.smallest else None]:
                condition = f"{size}, {'TLS' if secure else 'plain'}"
                if not settings.wants(condition) or (secure and not certificate):
                    continue
                path, count = (small, 1600) if size == "10 kB" else (large, 48)
                comparison = Comparison(
                    benchmark="upload",
                    condition=condition,
                    unit="file",
                    sides=_sides(server, path, settings.size(count, 2), certificate if secure else ""),
                    ratios=_RATIOS,
                )
                yield from _figures(comparison, settings)


def _figures(comparison: Comparison, settings: Settings) -> Iterator[Figure]:
    measured = comparison.measure(settings)
    yield from comparison.figures_of(measured, settings)
    yield _digest(comparison.condition, measured)
    if comparison.condition == "10 MB, plain":
        yield from _memory(measured)


def _sides(server: Server, path: Path, count: int, certificate: str) -> dict[str, Side]:
    url = f"{server.secure_url if certificate else server.url}/storage/file?X-Amz-SignedHeaders=host"
    arguments = {"url": url, "path": str(path)}
    env = {"SSL_CERT_FILE": certificate} if certificate else {}
    module = "benchmarks.clients.uploading"

    def coroutine(name: str, arguments: Mapping[str, object]) -> Coroutine:
        return Coroutine(target=f"{module}:{name}", count=count, arguments=arguments, env=env)

    return {
        OURS: coroutine("ours", arguments),
        DIGESTED: coroutine("ours", arguments | {"digested": True}),
        OPENED: coroutine("opened", arguments),
        HASHED: coroutine("hashed", {"path": str(path)}),
        CURL: Command(command=_curl(url, path, count, certificate), count=count),
    }


def _curl(url: str, path: Path, count: int, certificate: str) -> list[str]:
    """One curl for all files; it must not ask whether it may send."""
    options = ["--silent", "--fail", "--parallel", "--parallel-max", str(AT_ONCE), "--header", "Expect:"]
    trust = ["--cacert", certificate] if certificate else []
    return ["curl", *options, *trust, *(["--upload-file", str(path), url] * count)]


def _digest(condition: str, measured: Mapping[str, Sequence[Measurement]]) -> Figure:
    rounds = list(zip(measured[DIGESTED], measured[OURS], measured[HASHED], strict=True))
    on, off, alone = rounds[len(rounds) // 2]
    return Figure(
        benchmark="upload",
        name=f"{condition}: {DIGESTED} / without, and {HASHED}",
        unit="ratio",
        values=[on.each / (off.each + alone.each) for on, off, alone in rounds],
        detail=f"{on.each * 1e6:,.0f} / {off.each * 1e6:,.0f} + {alone.each * 1e6:,.0f} us a file",
    )


def _memory(measured: Mapping[str, Sequence[Measurement]]) -> Iterator[Figure]:
    for name in (OURS, DIGESTED, OPENED):
        yield Figure(
            benchmark="upload",
            name=f"10 MB, plain: peak memory of each upload at once, {name}",
            unit="KiB",
            values=[(one.peak - one.before) / AT_ONCE / 1024 for one in measured[name]],
            detail=f"{AT_ONCE} at once",
        )


def _certificate(folder: Path) -> str:
    """Make a key and a certificate that nobody has signed, in one file; none where there is no openssl."""
    if not shutil.which("openssl"):
        return ""
    both = folder / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-keyout", "-", "-out", "-", "-days", "7", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost"),
        ],
        check=True,
        stdout=both.open("wb"),
        stderr=subprocess.DEVNULL,
    )
    return str(both)
