"""No text that quotes a secret, however it is written, wrapped and cut, keeps a piece of it."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import string
from urllib.parse import quote, unquote

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from opus_async.opus.callbacks import CallbackReceiver
from opus_async.redaction import (
    CALLBACK_LABEL,
    KEY_LABEL,
    LOOKED_AT,
    REMEMBERED,
    RUN,
    Redactor,
    Secrets,
    callback_secret,
    mask_signatures,
    mask_values,
    presigned_secret,
    secret_text,
    whole_secret,
)
from opus_async.wire.excerpts import excerpt

UNHURRIED = settings(
    deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
KEY = "_" + "0123456789abcdef" * 6
PATH = "Zm9vYmFy7-uQ3xK9pLw_R2"
HOOK = f"https://hooks.example.com/services/T01/B02/{PATH}"
LOGIC = (
    "https://prod-1.example.com:443/workflows/9f1c2e7ab4d84c0f/triggers/manual/paths/invoke"
    "?api-version=2016&sp=%2Ftriggers%2Fmanual%2Frun&sig=aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3"
)


def percent(text: str) -> str:
    return quote(text, safe="")


def percent_all(text: str) -> str:
    return "".join(f"%{ord(char):02x}" for char in text)


def percent_some(text: str) -> str:
    return "".join(f"%{ord(char):02X}" if place % 3 == 0 else char for place, char in enumerate(text))


def in_json(text: str) -> str:
    return json.dumps({"callbackUrl": text}).replace("/", "\\/")


def in_json_all(text: str) -> str:
    return "".join(f"\\u{ord(char):04X}" for char in text)


def in_html(text: str) -> str:
    return html.escape(text).replace("/", "&#x2F;").replace(":", "&colon;").replace("_", "&lowbar;")


def in_html_all(text: str) -> str:
    return "".join(
        f"&#{ord(char)};" if place % 2 else f"&#x{ord(char):X};" for place, char in enumerate(text)
    )


def wrapped(text: str) -> str:
    return "\r\n ".join(text[at : at + 5] for at in range(0, len(text), 5))


def wrapped_in_html(text: str) -> str:
    return "<wbr>".join(text[at : at + 5] for at in range(0, len(text), 5))


def wrapped_unseen(text: str) -> str:
    return "\u200b".join(text)


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def in_base64_after_one(text: str) -> str:
    return base64.b64encode(b"x" + text.encode()).decode()


def in_base64_after_two(text: str) -> str:
    return base64.urlsafe_b64encode(b"xy" + text.encode()).decode().rstrip("=")


def in_lines_of_base64(text: str) -> str:
    return base64.encodebytes(text.encode()).decode()


FORMS = [
    str,
    str.upper,
    str.lower,
    percent,
    percent_all,
    percent_some,
    in_json,
    in_json_all,
    in_html,
    in_html_all,
    wrapped,
    wrapped_in_html,
    wrapped_unseen,
    in_base64,
    in_base64_after_one,
    in_base64_after_two,
    in_lines_of_base64,
]


def plain(text: str) -> str:
    """A text as a patient reader would read it: an independent way of undoing the forms above."""
    before = None
    while text != before:
        before = text
        text = re.sub(
            r"\\+u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), unquote(html.unescape(text))
        )
        text = re.sub(r"[\s\u200b\\]|<wbr>", "", text)
    return text


def readings(text: str, depth: int = 2) -> list[str]:
    """Everything that can be read in a text."""
    found = [text, plain(text)]
    if depth:
        for run in re.findall(r"[A-Za-z0-9+/_-]{8,}", plain(text)):
            for offset in range(4):
                part = run[offset:].replace("-", "+").replace("_", "/")
                part = part[: len(part) - (len(part) % 4 == 1)]
                decoded = base64.b64decode(part + "=" * (-len(part) % 4)).decode("latin-1")
                found += readings(decoded, depth - 1)
    return found


def kept(text: str, secret: str) -> list[str]:
    """The runs of a secret that can still be read in a text."""
    secret = plain(secret).lower()
    runs = {secret[at : at + RUN] for at in range(len(secret) - RUN + 1)}
    return [run for reading in readings(text) for run in runs if run in reading.lower()]


def known(*urls: str) -> Secrets:
    return Redactor(secret_text(KEY, KEY_LABEL), *map(callback_secret, urls)).known()


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
@pytest.mark.parametrize("secret", [KEY, KEY[1:], KEY.upper(), HOOK, f"/services/T01/B02/{PATH}", PATH])
def test_redaction_masks_secret_in_every_encoding(form, secret):
    text = f"refused: {form(secret)} is not reachable"
    shown = known(HOOK).mask(text)
    assert not kept(shown, PATH)
    assert not kept(shown, KEY)
    assert KEY_LABEL in shown or CALLBACK_LABEL in shown
    assert shown.startswith("refused: ")
    assert shown.endswith("is not reachable")


@pytest.mark.parametrize("outer", FORMS, ids=lambda form: form.__name__)
@pytest.mark.parametrize("inner", FORMS, ids=lambda form: form.__name__)
def test_redaction_masks_secret_in_nested_encodings(inner, outer):
    shown = known(HOOK).mask(f"a {outer(inner(HOOK))} b")
    assert not kept(shown, PATH)


tokens = st.text(string.ascii_letters + string.digits + "-_", min_size=12, max_size=60).filter(
    lambda text: any(char.isdigit() for char in text) and text.strip("-_")
)


@UNHURRIED
@given(
    token=tokens,
    forms=st.lists(st.sampled_from(FORMS), max_size=2),
    before=st.text(max_size=40),
    after=st.text(max_size=40),
    begin=st.integers(0, 200),
    length=st.integers(1, 400),
    limit=st.integers(10, 300),
)
@example(
    token="0000000r0000", forms=[in_json_all, in_json], before="", after="", begin=0, length=256, limit=10
)
@example(token="a1" + "-" * 20 + "b2", forms=[], before="", after="", begin=0, length=400, limit=300)
def test_redaction_leaks_nothing_when_text_is_surrounded_or_truncated(
    *, token, forms, before, after, begin, length, limit
):
    url = f"https://hooks.example.com/{token}"
    written = url
    for form in forms:
        written = form(written)
    text = f"{before} {written} {after}"[begin : begin + length]
    mask = known(url).mask
    assert not kept(mask(text), token)
    assert not kept(excerpt(text, limit, mask), token)
    assert not kept(mask(excerpt(text, limit)), token), "also where it was cut before"


@UNHURRIED
@given(st.text())
def test_redaction_keeps_text_without_secrets(text):
    assume(not any(kept(text, secret) for secret in (KEY, HOOK, LOGIC)))  # "01234567" is a run of the key
    assert known(HOOK, LOGIC).mask(text) == text
    assert mask_values([text, {text: text}], known(HOOK).mask) == [text, {text: text}]


@pytest.mark.parametrize(
    "text",
    [
        "callbackUrl must be a URL address",
        "the webhook of https://hooks.example.com was not called back",
        "workflow triggers are manual; see the services page",
        "digest 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "C:\\new\\table &amp; <b>bold</b> 100%",
    ],
)
def test_redaction_keeps_plain_words_that_also_occur_in_secret_url(text):
    urls = (HOOK, LOGIC, "https://me.example.com/api/webhooks/callback")
    assert known(*urls).mask(text) == text


@pytest.mark.parametrize("part", ["9f1c2e7ab4d84c0f", "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3"])
def test_redaction_masks_non_word_parts_of_callback_url(part):
    shown = known(LOGIC).mask(f"{LOGIC} or {percent(LOGIC)} or {part[:12]}")
    assert part[:12] not in shown
    assert "sig=aB" not in shown


@pytest.mark.parametrize("url", ["https://me.example.com/hook/a1b2c3", "https://user:p4ss@me.example.com/x"])
def test_redaction_masks_short_secret_as_whole_token(url):
    secret = "a1b2c3" if "a1b2c3" in url else "p4ss"
    assert secret not in known(url).mask(f"cannot reach {url}, I mean {secret}")


def test_redaction_masks_word_phrase_from_url_as_a_whole():
    url = "https://me.example.com/correct-horse-battery-staple"
    assert (
        known(url).mask("no correct-horse-battery-staple here; a horse")
        == f"no {CALLBACK_LABEL} here; a horse"
    )


def test_redaction_masks_per_job_callback_token():
    receiver = CallbackReceiver("https://me.example.com/opus")
    token = receiver.url_for("job-1").rpartition("/")[2]
    mask = Secrets.of(callback_secret(receiver.url_for("job-1"))).mask
    for form in FORMS:
        assert not kept(mask(form(token)), token.rpartition(".")[2])


def test_redaction_remembers_bounded_number_of_callback_urls():
    redactor = Redactor()
    urls = [
        f"https://me.example.com/{hashlib.sha256(str(number).encode()).hexdigest()}"
        for number in range(REMEMBERED + 1)
    ]
    for url in urls:
        redactor.remember_callback(url)
    assert redactor.known().mask(urls[-1]) == CALLBACK_LABEL
    assert redactor.known().mask(urls[0]) == urls[0]
    assert urls[-1][-8:] not in repr([redactor, redactor.known(), *redactor.known().each])


SIGNED = "https://b.s3.amazonaws.com/a.pdf?X-Amz-Credential=AKIA1234567890&X-Amz-Signature=f00dfacef00dface"


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_redaction_masks_known_presigned_url_in_every_encoding(form):
    shown = Secrets.of(presigned_secret(SIGNED)).mask(f"no {form(SIGNED)}")
    assert not kept(shown, "f00dfacef00dface")
    assert not kept(shown, "AKIA1234567890")


@pytest.mark.parametrize("form", [str, percent, in_json, in_html, in_json_all, percent_all])
def test_redaction_masks_signature_of_unknown_url(form):
    for text in (SIGNED, SIGNED.partition("?")[2], "Signature=f00dfacef00dface"):
        assert not kept(excerpt(f"no {form(text)} here"), "f00dfacef00dface")


def test_mask_signatures_keeps_a_sentence_about_a_signature():
    assert mask_signatures("the signature does not match") == "the signature does not match"


def test_redaction_masks_key_and_signature_in_s3_error_body():
    page = (
        "<?xml version='1.0'?><Error><Code>SignatureDoesNotMatch</Code><Message>It differs</Message>"
        "<AWSAccessKeyId>AKIA1234567890</AWSAccessKeyId><SignatureProvided>f00dfacef00dface</SignatureProvided></Error>"
    )
    shown = excerpt(page)
    assert "It differs" in shown
    assert "AKIA" not in shown
    assert "f00d" not in shown


def test_redaction_masks_json_names_and_values_but_not_long_data():
    mask = known(HOOK).mask
    data = "x" * LOOKED_AT
    value = {"nodes": [data, data, {HOOK: [1, None, True, f"at {HOOK}"]}]}
    assert mask_values(value, mask) == {
        "nodes": [data, data, {CALLBACK_LABEL: [1, None, True, f"at {CALLBACK_LABEL}"]}]
    }


@pytest.mark.parametrize(
    "text",
    [
        "body: correct-horse-battery",
        '{"password": "correct-horse-battery"}',
        "password=correct%2Dhorse%2Dbattery",
        base64.b64encode(b"operator:correct-horse-battery").decode(),
    ],
)
def test_password_is_masked_as_a_whole(text):
    masked = Secrets.of(whole_secret("correct-horse-battery", "<password>")).mask(text)
    assert "battery" not in masked
    assert "<password>" in masked


def test_words_that_a_password_is_made_of_are_left_alone():
    text = "The correct-horse is no secret, and neither is a battery"
    assert Secrets.of(whole_secret("correct-horse-battery", "<password>")).mask(text) == text
