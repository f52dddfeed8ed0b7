"""Bytes are never guessed: what is not UTF-8 is refused, with what likely encodings make of it."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from manifests import manifest_in, problems, rows

from opus_async.errors import ManifestError
from opus_async.manifests import open_manifest

READINGS = {
    "cp1252": ("résumé", "Müller & Söhne"),
    "mac-roman": ("résumé", "Müller \u2013 “Söhne”"),
    "cp1250": ("Łódź", "Žižkov"),
    "cp1251": ("Привет мир", "Счёт"),
    "koi8-r": ("Привет мир", "Счёт"),
    "cp1253": ("Αθήνα", "Λογαριασμός"),
    "gb18030": ("发票编号", "中国有限公司"),
    "shift_jis": ("請求書", "株式会社テスト"),
    "big5": ("發票號碼", "台灣公司"),
    "euc-kr": ("서울특별시", "주식회사"),
}


def refused(path, content: bytes, **options) -> ManifestError:
    with pytest.raises(ManifestError) as caught:
        rows(manifest_in(path, content, **options))
    return caught.value


@pytest.mark.parametrize("encoding", READINGS)
def test_encoding_refusal_shows_right_reading_with_option(tmp_path, encoding):
    texts = READINGS[encoding]
    content = "key,Text\n" + "".join(f"r{place},{text}\n" for place, text in enumerate(texts))
    path = tmp_path / "orders.csv"
    error = refused(path, content.encode(encoding))
    assert any(f"{text!r} with --encoding {encoding}" in error.problems for text in texts)
    assert len(error.problems) <= 5
    assert len({problem.partition(" with ")[0] for problem in error.problems}) == len(error.problems)
    for problem in error.problems:  # each option works as it is pasted
        flag, name = shlex.split(problem.rpartition(" with ")[2])
        assert flag == "--encoding"
        assert rows(open_manifest(path, encoding=name))


def test_encoding_refusal_names_line_and_column_of_bad_byte(tmp_path):
    error = refused(tmp_path / "a.csv", "key,Text\nr1,x\nr2,résumé\n".encode("cp1252"))
    assert "a.csv, line 3, column 5: byte 0xE9 is not UTF-8" in error.message


def test_encoding_of_jsonl_is_refused_alike(tmp_path):
    error = refused(tmp_path / "a.jsonl", '{"Text": "résumé"}\n'.encode("cp1252"))
    assert "'résumé' with --encoding cp1252" in error.problems


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encoding_bad_byte_in_utf8_is_damage_and_no_question(tmp_path, end):
    lines = ["key,Text", *["r1,café 中文"] * 3, "r4,r?sum?"]
    content = end.join([*lines, ""]).encode().replace(b"?", b"\xe9")
    *good, bad = manifest_in(tmp_path / "a.csv", content).records()
    assert [record.cells for record in good] == [{"key": "r1", "Text": "café 中文"}] * 3
    assert not any(record.unreadable for record in good)
    ((cell,), cells, where) = bad.unreadable, bad.cells, bad.where
    assert (cells, where, cell.column) == ({"key": "r4"}, "line 5", "Text")
    assert "byte 0xE9 is not UTF-8, at character 2 of 'r\ufffdsum\ufffd'" in cell.problem


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_encoding_bad_byte_deep_in_file_refuses_its_row_alone(tmp_path, name):
    def line(number: int, text: bytes) -> bytes:
        if name == "a.csv":
            return b"%d,%s\n" % (number, text)
        return b'{"n": "%d", "Text": ["%s"]}\n' % (number, text)

    texts = ["é".encode() * 50] * 12_000
    texts[11_000] = b"caf\xe9"
    head = b"n,Text\n" if name == "a.csv" else b""
    content = head + b"".join(line(number, text) for number, text in enumerate(texts))
    manifest = manifest_in(tmp_path / name, content)
    for _ in range(2):
        records = list(manifest.records())
        assert [record.cells["n"] for record in records] == [str(number) for number in range(12_000)]
        assert [record.index for record in records if record.unreadable] == [11_000]
        assert "at character 4 of 'caf\ufffd'" in records[11_000].unreadable[0].problem


def test_encoding_bad_byte_in_name_of_field_refuses_the_row(tmp_path):
    content = '{"é": 1, "Text": "é"}\n'.encode() + b'{"\xe9": 1, "Text": "x"}\n'
    _, bad = manifest_in(tmp_path / "a.jsonl", content).records()
    assert [cell.column for cell in bad.unreadable] == [None]


def test_encoding_bad_byte_in_header_refuses_the_manifest(tmp_path):
    error = refused(tmp_path / "a.csv", b"key,T\xe9xt\nr1,caf\xc3\xa9\n")
    assert "line 1, column 6: byte 0xE9 is not UTF-8, and the rest of the file is" in error.message
    assert "--encoding" not in str(error)


@settings(deadline=None)
@given(st.integers(0, 12), st.sampled_from(["é", "中", "😀"]))
def test_encoding_long_lines_are_cut_between_characters(tmp_path_factory, shift, letter):
    path = tmp_path_factory.mktemp("long") / "a.csv"
    content = f"key,Text\nr1,{'x' * shift}{letter * 50_000}".encode() + b"\xff\n"
    (record,) = manifest_in(path, content).records()
    assert f"byte 0xFF is not UTF-8, at character {shift + 50_001} of" in record.unreadable[0].problem
    header = refused(path, f"key,{'x' * shift}{letter * 50_000}".encode() + b"\xff\nr1,x\n")
    column = 5 + shift + 50_000
    assert f"line 1, column {column}: byte 0xFF is not UTF-8, and the rest of the file is" in header.message


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_encoding_utf16_without_mark_is_shown_and_not_assumed(tmp_path, encoding):
    content = "key,Text\nr1,é\n".encode(encoding)
    path = tmp_path / "a.csv"
    assert refused(path, content).problems == (f"'key,Text' with --encoding {encoding}",)
    assert rows(open_manifest(path, encoding=encoding)) == [{"key": "r1", "Text": "é"}]


@pytest.mark.parametrize("content", [b"a,b\n\x81\xfe,2\n", b"a,b\n1,\xff\xff\xff\xff\n", b"\x80\n"])
def test_encoding_of_noise_is_refused_with_the_option(tmp_path, content):
    assert "--encoding" in str(refused(tmp_path / "a.csv", content))


def test_encoding_utf_16_without_mark_is_asked_for_its_byte_order(tmp_path):
    path = tmp_path / "m.csv"
    path.write_bytes("Text\na\n".encode("utf-16-le"))
    with pytest.raises(ManifestError, match="utf-16-le"):
        open_manifest(path, encoding="utf-16")
    assert [record.cells for record in open_manifest(path, encoding="utf-16-le").records()] == [{"Text": "a"}]


@pytest.mark.parametrize(
    ("encoding", "texts", "bad"),
    [
        ("cp1252", ("résumé", "naïve"), b"\x81"),
        ("cp1253", ("Αθήνα", "Λογαριασμός"), b"\xff"),
        ("shift_jis", ("請求書", "株式会社テスト"), b"\x81"),
        ("gb18030", ("发票编号", "中国有限公司"), b"\xff"),
    ],
)
def test_encoding_bad_byte_in_a_named_encoding_refuses_its_row_alone(tmp_path, encoding, texts, bad):
    first, last = (text.encode(encoding) for text in texts)
    content = b"Text,n\n" + first + b",1\nx" + bad + b",2\n" + last + b",3\n"
    manifest = manifest_in(tmp_path / "a.csv", content, encoding=encoding)
    assert rows(manifest) == [{"Text": texts[0], "n": "1"}, {"n": "2"}, {"Text": texts[1], "n": "3"}]
    (told,) = problems(manifest)
    assert f"byte 0x{bad[0]:02X} is not {encoding}, at character 2" in told
    assert told.startswith("line 3: column 'Text'")


def test_encoding_named_for_another_one_is_refused(tmp_path):
    error = refused(tmp_path / "a.csv", b"Text,n\n" + b"x\x81,2\n" * 9, encoding="cp1252")
    assert "a.csv, line 2: byte 0x81 is not cp1252" in error.message
    error = refused(
        tmp_path / "a.csv", "Text\nx\ud800y\n".encode("utf-16-le", "surrogatepass"), encoding="utf-16-le"
    )
    assert "is not utf-16-le" in error.message


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16", "utf-32"])
def test_encoding_named_against_the_mark_is_refused(tmp_path, mark):
    error = refused(tmp_path / "a.csv", "Text\nx\n".encode(mark), encoding="cp1252")
    assert "contradicts the byte-order mark" in error.message


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_encoding_named_for_text_in_utf8_is_warned_of(tmp_path, name):
    content = "Text\ncafé 中文\n" if name == "a.csv" else '{"Text": "café 中文"}\n'
    (warning,) = manifest_in(tmp_path / name, content.encode(), encoding="cp1252").warnings
    assert "café 中文" in warning
    assert "cafÃ©" in warning
    for text, encoding in (("cafe", "cp1252"), ("café", "cp1252"), ("café", "utf-8")):
        written = content.replace("café 中文", text).encode(encoding)
        assert manifest_in(tmp_path / name, written, encoding=encoding).warnings == []


def test_encoding_refusal_shows_whole_words_of_the_next_line(tmp_path):
    error = refused(tmp_path / "a.csv", "Text\ncafé\nnaïve\n".encode("cp1252"))
    assert {problem.partition(" with ")[0] for problem in error.problems} & {"'café'", "'naïve'"}
