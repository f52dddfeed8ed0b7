"""File names from URLs and other texts: one safe component, whatever the text says."""

from __future__ import annotations

import ntpath
import os
import posixpath
import unicodedata
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from opus_async.filenames import FALLBACK, MAX_BYTES, safe_name, safe_text

HOST = "https://files.opus.com"
RESERVED = ("CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "COM1", "LPT9", "COM¹")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/media/private/uploaded/media_0002.pdf", "media_0002.pdf"),
        ("/media/a%20b%20%281%29.pdf", "a b (1).pdf"),
        ("/media/gr%C3%B6%C3%9Fe.csv", "größe.csv"),
        ("/media/größe.csv", "größe.csv"),
        ("/media/gro%CC%88%C3%9Fe.csv", "größe.csv"),
        ("/media/100%2525.txt", "100%25.txt"),
        ("/media/a.tar.gz", "a.tar.gz"),
        ("/media/report", "report"),
        ("/media/a.pdf?name=/etc/passwd#/x/y.exe", "a.pdf"),
        ("/o/uploads%2F2025%2Fa.pdf?alt=media", "a.pdf"),
        ("/media/..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("/media/..%5C..%5Cboot.ini", "boot.ini"),
        ("/media/..%2f", FALLBACK),
        ("/media/%2e%2e", FALLBACK),
        ("/media/..", FALLBACK),
        ("/media/.", FALLBACK),
        ("/media/", FALLBACK),
        ("/", FALLBACK),
        ("", FALLBACK),
        ("/media/.bashrc", "bashrc"),
        ("/media/...%20.hidden.txt", "hidden.txt"),
        ("/media/a.pdf.", "a.pdf"),
        ("/media/a.pdf%20.%20", "a.pdf"),
        ("/media/a%00.pdf%0d%0ab", "a_.pdf__b"),
        ("/media/C%3A", "C_"),
        ("/media/a.txt%3Ahidden", "a.txt_hidden"),
        ("/media/%3C%3E%22%7C%3F%2A.txt", "______.txt"),
        ("/media/invoice%E2%80%AEfdp.exe", "invoice_fdp.exe"),
        ("/media/%FF%FE.txt", "\ufffd\ufffd.txt"),
        ("/media/nul", "_nul"),
        ("/media/Con.tar.gz", "_Con.tar.gz"),
        ("/media/aux%20.txt", "_aux .txt"),
        ("/media/com%C2%B9.txt", "_com¹.txt"),
        ("/media/console.txt", "console.txt"),
        ("/media/com10", "com10"),
        ("/media/\ud800.txt", "_.txt"),
    ],
)
def test_safe_name_decodes_and_sanitises_last_url_segment(path, name):
    assert safe_name(HOST + path) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Summary (final)", "Summary (final)"),
        ("Pages / Seiten", "Pages _ Seiten"),
        ("..\\..\\etc", "_.._etc"),
        ("100%25", "100%25"),
        ("https://host/a.pdf?x=1", "https___host_a.pdf_x=1"),
        ("nul", "_nul"),
        (" . ", FALLBACK),
        ("", FALLBACK),
        ("ö" * 150, "ö" * 100),
    ],
)
def test_safe_text_replaces_unsafe_characters_and_truncates(text, name):
    assert safe_text(text) == name


@pytest.mark.parametrize("url", ["http://[x", "", "a.pdf?", "file:///etc/passwd", "https://h/a b.pdf", "\0"])
def test_safe_name_accepts_malformed_url(url):
    assert safe_name(url) in {FALLBACK, "a.pdf", "passwd", "a b.pdf"}


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("a" * 300 + ".pdf", ".pdf"),
        ("ö" * 150 + ".docx", ".docx"),
        ("a" + "ö" * 150 + ".docx", ".docx"),
        ("🙂" * 100 + ".tar.gz", ".gz"),
        ("x" * 300, "x"),
        ("a." + "x" * 300, "x"),
        ("a" * 195 + "     .....  " + "b" * 300, "a"),
    ],
)
def test_safe_name_truncates_long_name_and_keeps_extension(name, ending):
    short = safe_name(f"{HOST}/{quote(name)}")
    assert MAX_BYTES - 5 <= len(short.encode()) <= MAX_BYTES
    assert short.endswith(ending)
    assert name.startswith(short.removesuffix(ending))


SEGMENTS = st.one_of(
    st.text(),
    st.text(alphabet="./\\%2eE5cCfF:\0 ~\u0338\u0301\u202e\ud800ComnNuUlL1"),
    st.binary(max_size=400).map(lambda raw: quote(raw, safe="./\\")),
    st.sampled_from(RESERVED).flatmap(
        lambda name: st.sampled_from([name, name.lower() + ".x", name + " . "])
    ),
    st.integers(150, 400).map(lambda length: "é" * length + ".pdf"),
)


@example("=\u0338")
@example("\u037e\u212a\u1fef")
@example("a\u200d\u0301")
@given(SEGMENTS)
def test_safe_name_is_one_safe_path_component_for_any_text(text):
    urls = (text, f"{HOST}/{text}", f"{HOST}/media/{quote(text, safe='', errors='replace')}")
    for name in (*map(safe_name, urls), safe_text(text)):
        assert name == unicodedata.normalize("NFC", name)
        assert 0 < len(name.encode()) <= MAX_BYTES
        for folder in ("/srv/out", "C:\\out", "."):
            for flavour in (posixpath, ntpath):
                joined = flavour.normpath(flavour.join(folder, name))
                assert flavour.dirname(joined) == ("" if folder == "." else flavour.normpath(folder))
                assert flavour.basename(joined) == name
        assert ntpath.splitdrive(name)[0] == ""
        assert Path("out", name).parts == ("out", name)
        assert not set(name) & set('/\\:*?"<>|')
        assert name.isprintable()
        assert not name.startswith((".", " "))
        assert not name.endswith((".", " "))
        assert name.partition(".")[0].rstrip(" ").upper() not in RESERVED
        assert os.fsencode(name).decode() == name


@given(st.text(alphabet=st.characters(whitelist_categories=("L", "N")), min_size=1, max_size=40))
def test_safe_name_keeps_letters_and_digits_unchanged(stem):
    name = unicodedata.normalize("NFC", stem) + ".pdf"
    assert safe_name(f"{HOST}/media/{quote(name)}").removeprefix("_") == name
