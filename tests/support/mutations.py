"""Answers that are almost right: known shapes with a few things changed, in their structure or their bytes.

Plain seeded randomness, some twenty microseconds an answer: where hypothesis looks for the smallest example,
this looks at many. The same seed makes the same answer on every machine.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Sequence
from random import Random
from typing import Any

from corpus import FILE_URL, PAGES, PRESIGNED, REFUSALS, SHAPES, SIGNATURE, WORDS

from opus_async.wire.messages import ApiResponse

URL = f"https://operator.opus.com/job/2514/status?X-Amz-Signature={SIGNATURE}"
"""With a query, which the readers must not show."""

_ALL_SHAPES = (*(text for texts in SHAPES.values() for text in texts), *REFUSALS)

_RAW = (
    *("NaN", "-Infinity", "1e999", "-1e999", "1" + "0" * 400 + ".0", "9" * 4300, "9" * 4301, "007", "1e5"),
    *('"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"', '"\t"', '"\\x"', "'a'", "undefined", "1 /* one */"),
    *("[" * levels + "]" * levels for levels in (60, 180, 250, 5000)),
    *('{"message":' * levels + "1" + "}" * levels for levels in (60, 180, 250)),
    *('{"a": 1, "a": [2]}', '{"status": "FAILED", "status": null}'),
)
"""JSON, or almost, that ``json.dumps`` would never write."""
_RAW_MARK = re.compile(r'"<raw ([0-9]+)>"')
_AGAIN = "<again>"
"""At the end of a key: the key without it, which is there already."""

_ODD: Sequence[Any] = (
    *(None, True, False, 0, 1, -1, 2**53 + 1, -(2**63), 10**30, -(10**400), 0.5, -0.0, 1e308, 5e-324),
    *("", " ", "\t\n", "0", "-1", "1e5", "nan", "null", "true", "false", "[]", "{}", '{"a": [1, null]}'),
    *("x" * 3000, "\u202e\u200b", "ß" * 70, "\U0001f600", "\x00\x1b[2J", "%00", "../..", "a\r\nX-Key: 1"),
    *("2026-01-01", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-13-40", "0001-01-01"),
    *("```json\n[1]\n```", "<script>", "a, b", "PDF", ".pdf", "FAILED", "array", "file", "9" * 5000),
    *(PRESIGNED, FILE_URL, "http://[", "https://", "ftp://h/x", "//h/x", "http://h:99999/x", "HTTP://H/ß"),
    *(200, 299, 400, 404, 500, 599, 600, "400", "500", 400.0, 1767225600, 1767225600000, 99999999999, 1e11),
    *(f"<raw {number}>" for number in range(len(_RAW))),
)
_HOLLOW = ("[]", "{}", "[[]]", "[{}]", "[null]", '{"": ""}', '{"value": null}')
_WRAPPERS = ("data", "workflow", "results", "value", "message", "error", "audit", "jobs", "jobPayloadSchema")


def answer(random: Random, shapes: Sequence[str]) -> ApiResponse:
    """An answer with a body near one of these shapes; most answers say that all is well."""
    return ApiResponse(
        status=_status(random),
        body=body(random, shapes),
        headers=_headers(random) if random.random() < 0.3 else {"Content-Type": "application/json"},
        url=URL,
        attempt=random.choice((1, 1, 2)),
    )


_SAID = (202, 204, 301, 308, 400, 401, 403, 404, 405, 409, 413, 422, 429, 500, 502, 503, 504)


def _status(random: Random) -> int:
    chance = random.random()
    if chance < 0.78:
        return 200 if chance < 0.6 else 201
    return random.choice(_SAID) if chance < 0.92 else random.randrange(200, 600)


def body(random: Random, shapes: Sequence[str]) -> bytes:
    """A body near one of these shapes, or now and then near one that has no business there."""
    near = random.random()
    if near < 0.03:
        return _bytes_changed(random, random.choice(PAGES))
    if near < 0.13:
        shapes = REFUSALS if near < 0.08 else _ALL_SHAPES
    value = json.loads(random.choice(shapes))
    for _ in range(random.choice((0, 1, 1, 1, 2, 2, 3, 6))):
        value = changed(random, value)
    made = written(random, value)
    return _bytes_changed(random, made) if random.random() < 0.1 else made


def written(random: Random, value: Any) -> bytes:
    """The JSON of a value that was changed, and of what the changes put there that no value can hold."""
    text = json.dumps(value, ensure_ascii=random.random() < 0.5).replace(f'{_AGAIN}"', '"')
    if "<raw " in text:
        text = _RAW_MARK.sub(lambda mark: _RAW[int(mark[1])], text)
    return text.encode()


# -- structure ---------------------------------------------------------------------------------------------

_Place = tuple[Any, Any]
"""A container, and the key or index of one thing in it."""


def changed(random: Random, value: Any) -> Any:
    """The value with one thing in it changed."""
    root = [value]
    holder, key = _somewhere(random, root)
    random.choice(_CHANGES)(random, holder, key)
    return root[0] if root else None


def _somewhere(random: Random, root: list[Any]) -> _Place:
    """Any place, the shallow ones oftener."""
    holder: Any = root
    key: Any = 0
    while True:
        here = holder[key]
        if not isinstance(here, dict | list) or not here or random.random() < 0.15:
            return holder, key
        holder, key = here, _key_of(random, here)


def _key_of(random: Random, held: Any) -> Any:
    return random.choice(list(held)) if isinstance(held, dict) else random.randrange(len(held))


def _replace(random: Random, holder: Any, key: Any) -> None:
    holder[key] = random.choice(_ODD)


def _hollow(random: Random, holder: Any, key: Any) -> None:
    holder[key] = json.loads(random.choice(_HOLLOW))


def _remove(random: Random, holder: Any, key: Any) -> None:
    del holder[key]


def _graft(random: Random, holder: Any, key: Any) -> None:
    """Something from anywhere in any shape."""
    found, at = _somewhere(random, [json.loads(random.choice(_ALL_SHAPES))])
    holder[key] = found[at]


def _swap(random: Random, holder: Any, key: Any) -> None:
    other = _key_of(random, holder)
    holder[key], holder[other] = holder[other], holder[key]


def _wrap(random: Random, holder: Any, key: Any) -> None:
    here = holder[key]
    holder[key] = random.choice(([here], [here, here], {random.choice(_WRAPPERS): here}))


def _unwrap(random: Random, holder: Any, key: Any) -> None:
    here = holder[key]
    if isinstance(here, dict | list) and here:
        holder[key] = here[_key_of(random, here)]


def _other_container(random: Random, holder: Any, key: Any) -> None:
    """An object as a list, a list as an object."""
    here = holder[key]
    if isinstance(here, dict):
        named = [{"name": name, "value": value} for name, value in here.items()]
        holder[key] = random.choice((list(here), list(here.values()), [*map(list, here.items())], named))
    elif isinstance(here, list):
        holder[key] = {str(index): item for index, item in enumerate(here)}


def _other_type(random: Random, holder: Any, key: Any) -> None:
    """A number as text, a text as its letters, anything as the JSON of it."""
    here = holder[key]
    if isinstance(here, str):
        holder[key] = random.choice((list(here[:50]), len(here), [here], bool(here)))
    else:
        holder[key] = random.choice((json.dumps(here), str(here)[:500]))


def _other_text(random: Random, holder: Any, key: Any) -> None:
    here = holder[key]
    if isinstance(here, str):
        turns = (
            here.swapcase(),
            f" {here}\n",
            here[: len(here) // 2],
            here * 20,
            f"{here}\u0000",
            f'"{here}"',
        )
        holder[key] = random.choice(turns)
    elif isinstance(here, int | float):
        holder[key] = random.choice((-here, here * 10**15, here / 7, here + 0.5)) if abs(here) < 1e200 else 0


def _rename(random: Random, holder: Any, key: Any) -> None:
    if isinstance(holder, dict):
        snake = re.sub(r"([A-Z])", r"_\1", key).lower()
        camel = re.sub(r"_([a-z])", lambda part: part[1].upper(), key)
        names = (key.upper(), key.swapcase(), snake, camel, f" {key} ", "", random.choice(WORDS))
        holder[random.choice(names)] = holder.pop(key)


def _again(random: Random, holder: Any, key: Any) -> None:
    """The key twice: with another value, or the item very often."""
    if isinstance(holder, dict):
        holder[f"{key}{_AGAIN}"] = random.choice(_ODD)
    else:
        holder.extend([holder[key]] * random.choice((1, 3, 100)))


def _add(random: Random, holder: Any, key: Any) -> None:
    here = holder[key]
    if isinstance(here, dict):
        here[random.choice(WORDS)] = random.choice(_ODD)
    elif isinstance(here, list):
        here.insert(random.randrange(len(here) + 1), random.choice(_ODD))


_CHANGES = (
    *(_replace, _replace, _replace, _hollow, _remove, _remove, _graft, _graft, _swap, _wrap, _unwrap),
    *(_other_container, _other_type, _other_text, _rename, _rename, _again, _add),
)

# -- bytes -------------------------------------------------------------------------------------------------


def _bytes_changed(random: Random, sent: bytes) -> bytes:
    return random.choice(_BYTE_CHANGES)(random, sent)


def _flipped(random: Random, sent: bytes) -> bytes:
    changed = bytearray(sent)
    for _ in range(random.choice((1, 1, 3, 20))):
        if changed:
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _cut(random: Random, sent: bytes) -> bytes:
    return sent[: random.randrange(len(sent) + 1)]


def _lost(random: Random, sent: bytes) -> bytes:
    where = random.randrange(len(sent) + 1)
    return sent[:where] + sent[where + random.randrange(1, 9) :]


_INSERTED = (
    *(b"null", b"[]", b"{}", b'"', b",", b":", b"\\", b"1e999", b'"\\ud800"', b"9" * 400, b"[" * 300),
    *(b"\x00", b"\xff", b"\xed\xa0\x80", b"\xc3", b"\xef\xbb\xbf", b"\n\n", b"<b>", b"&nbsp;", b"/*"),
)


def _inserted(random: Random, sent: bytes) -> bytes:
    where = random.randrange(len(sent) + 1)
    return sent[:where] + random.choice(_INSERTED) + sent[where:]


def _encoded(random: Random, sent: bytes) -> bytes:
    text = sent.decode(errors="replace")
    return text.encode(random.choice(("utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-7")))


def _packed(random: Random, sent: bytes) -> bytes:
    return gzip.compress(sent, 1, mtime=0)


_FRAMES = (
    *(
        (b"", b"\n{}"),
        (b" \r\n\t", b" "),
        (b")]}',\n", b""),
        (b"\xef\xbb\xbf\xef\xbb\xbf", b""),
        (b"[", b",]"),
    ),
    *((b"<html><body>", b"</body></html>"), (b"callback(", b");"), (b"HTTP/1.1 200 OK\r\n\r\n", b"")),
)


def _framed(random: Random, sent: bytes) -> bytes:
    before, after = random.choice(_FRAMES)
    return before + sent + after


_BYTE_CHANGES = (_flipped, _flipped, _cut, _lost, _inserted, _inserted, _encoded, _packed, _framed)

# -- headers -----------------------------------------------------------------------------------------------

_HEADER_NAMES = ("Retry-After", "retry-after-ms", "Date", "x-request-id", "CF-Ray", "Content-Type")
_HEADER_VALUES = (
    *("3", "0", "-1", "1e9", "nan", "inf", "", " ", "x", "9" * 500, "0x10", "1_000", "٣", "text/html"),
    *("Thu, 01 Jan 2026 00:00:07 GMT", "Thu, 01 Jan 99999999999999999999 00:00:07 GMT", "1 Jan 2026", "Mon,"),
    *("1 Jan 2026 00:00 +99999999999999", "0 0 0", "01 Jan 0000 00:00 GMT", "31 Dec 9999 23:59:59 -2359"),
    *("\x00\x1b", "r" * 5000, f"see {PRESIGNED}", "a\tb", "\udcff", "application/json; charset=utf-16"),
)


def _headers(random: Random) -> dict[str, str]:
    return {random.choice(_HEADER_NAMES): random.choice(_HEADER_VALUES) for _ in range(random.randrange(4))}
