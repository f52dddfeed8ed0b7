"""Fuzzing that is led by coverage: every reader of the protocol, from bytes alone.

A program, not a test: ``python tests/support/fuzz_atheris.py FOLDER -runs=100000``, with any options of
libFuzzer. It needs ``pip install atheris``, which nothing else here does. FOLDER keeps what was found to be
interesting and is filled with every known shape when it is empty. Ends with 0 after all the runs, with
77 at the first input that breaks a rule, which is then shown and kept in a file.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from random import Random

import atheris

with atheris.instrument_imports(include=["opus_async"]):
    from corpus import PAGES, REFUSALS, WORDS
    from invariants import READERS, holds
    from mutations import changed, written

    from opus_async.wire.messages import ApiResponse

_READERS = tuple(READERS.values())
_STATUSES = (200, 201, 202, 204, 301, 400, 401, 403, 404, 409, 413, 422, 429, 500, 502, 503)
_HEADERS = ("Retry-After", "retry-after-ms", "Date", "x-request-id", "Content-Type")


def one_input(data: bytes) -> None:
    """The first byte chooses the reader, the second the status, the third a header with the last 30 bytes."""
    if len(data) > 2:
        reader, status, header = _READERS[data[0] % len(_READERS)], _STATUSES[data[1] % 16], data[2]
        headers = {_HEADERS[header % 5]: data[-30:].decode("latin-1")} if header > 127 else {}
        holds(reader, ApiResponse(status=status, body=data[3:], headers=headers))


def mutated(data: bytes, max_size: int, seed: int) -> bytes:
    """Now and then a change in the structure of the body, which changes of bytes hardly ever leave whole."""
    random = Random(seed)
    if random.random() < 0.5:
        with suppress(ValueError, RecursionError):
            return (data[:3] + written(random, changed(random, json.loads(data[3:]))))[:max_size]
    return atheris.Mutate(data, max_size)


def fill(folder: Path) -> None:
    """Write every known shape, for every reader that it is made for, as inputs to begin with."""
    folder.mkdir(parents=True, exist_ok=True)
    if not any(folder.iterdir()):
        pages = [*PAGES, *(refusal.encode() for refusal in REFUSALS)]
        for number, reader in enumerate(_READERS):
            bodies = [*(shape.encode() for shape in reader.shapes), pages[number % len(pages)]]
            for place, body in enumerate(bodies):
                (folder / f"known-{number}-{place}").write_bytes(bytes((number, place % 2, 0)) + body)


def main(arguments: list[str]) -> None:
    folder, *options = arguments
    fill(Path(folder))
    words = Path(folder).with_suffix(".words")
    escaped = ("".join(f"\\x{byte:02x}" for byte in f'"{word}"'.encode()) for word in WORDS)
    words.write_text("".join(f'"{word}"\n' for word in escaped))
    atheris.Setup(
        [sys.argv[0], f"-dict={words}", "-max_len=4096", *options, folder], one_input, custom_mutator=mutated
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
