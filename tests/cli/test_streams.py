"""No character that a terminal obeys gets through the command line, whatever wrote it."""

from __future__ import annotations

import io
import json
import sys

import pytest
from command_line import Terminal, at, serving
from hypothesis import given
from hypothesis import strategies as st

from opus_async.cli.streams import SafeStream, controls, safe_streams
from opus_async.terminal_text import escaped

C0 = [chr(code) for code in range(32) if chr(code) not in "\t\n"]
C1 = [chr(code) for code in range(0x7F, 0xA0)]
TURNING = list("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
UNSEEN = list("\xad\u200b\u2060\ufeff\u2028\u2029\U000e0001\U000e0041")
UNSAFE = [*C0, *C1, *TURNING, *UNSEEN]
ATTACK = "\x1b]0;pwned\x07\x1b[2J\x9b31m\x9d0;x\x9c\u202e[red]"


@pytest.mark.parametrize("char", UNSAFE, ids=lambda char: f"U+{ord(char):04X}")
def test_safe_stream_escapes_unsafe_character_like_json(char):
    assert escaped(f"a{char}b").isascii()
    assert json.loads(f'"{escaped(char)}"') == char


def test_safe_stream_keeps_ordinary_text():
    text = "Prüfung\t№ 7\nגבר فارسی‌زبان 👩‍🔬 [red]not markup[/red]\n"
    assert escaped(text) == text


@given(
    st.recursive(
        st.text() | st.none() | st.floats(allow_nan=False), lambda inner: st.dictionaries(st.text(), inner)
    )
)
def test_safe_stream_escaping_keeps_json_equal(value):
    text = json.dumps(value, ensure_ascii=False)
    assert json.loads(escaped(text)) == value
    assert not set(escaped(text)) & set(UNSAFE)


class Terminalish(io.StringIO):
    def isatty(self):
        return True


def test_safe_stream_escapes_bytes_on_terminal_only():
    terminal = Terminalish()
    whole = f"k,{ATTACK}ü\n".encode()
    safe = SafeStream(terminal).buffer
    for byte in whole:  # cut in the middle of characters, too
        safe.write(bytes([byte]))
    assert terminal.getvalue() == escaped(whole.decode())

    pipe = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    SafeStream(pipe).buffer.write(whole)
    assert pipe.buffer.getvalue() == whole


def test_safe_stream_controls_bypass_escaping():
    raw = io.StringIO()
    safe = SafeStream(raw)
    controls(safe).write("\x1b[K")
    print("\x1b[K", file=safe)
    assert raw.getvalue() == "\x1b[K\\u001b[K\n"
    assert controls(raw) is raw


def test_safe_streams_are_restored_on_exit():
    before = sys.stdout, sys.stderr
    with safe_streams():
        assert isinstance(sys.stdout, SafeStream)
        inside = sys.stdout
        with safe_streams():
            assert sys.stdout is inside
    assert (sys.stdout, sys.stderr) == before


@pytest.fixture
def hostile():
    """A platform that has control characters in everything that it says."""
    schema = {ATTACK: {"variable_name": ATTACK, "display_name": ATTACK, "type": f"str{ATTACK}"}}

    def answer(request):
        if "/workflow/" in request.path:
            body = {"name": ATTACK, "description": ATTACK, "jobPayloadSchema": schema}
            return 200, json.dumps(body).encode()
        if request.path.endswith("/status"):
            return 200, json.dumps({"status": f"FAILED{ATTACK}"}).encode()
        if request.path.endswith("/audit"):
            nodes = {ATTACK: {"execution_status": "FAILED", "error": ATTACK}}
            return 200, json.dumps({"audit": {"nodes_execution_data": nodes}}).encode()
        return 400, json.dumps({"message": ATTACK, "code": ATTACK}).encode()

    with serving(answer) as port:
        yield at(port)


COMMANDS = {
    "workflow show": ["workflow", "show", "B9uGJfZ3CFwOdMKH"],
    "workflow show --json": ["workflow", "show", "B9uGJfZ3CFwOdMKH", "--json"],
    "audit": ["audit", "2514"],
    "audit --json": ["audit", "2514", "--json"],
    "run": ["run", "B9uGJfZ3CFwOdMKH", "--input", f"x{ATTACK}=1"],
    "run --debug": ["run", "B9uGJfZ3CFwOdMKH", "--input", f"{ATTACK}=1", "--debug"],
    "a file that is not there": ["batch", "status", f"nowhere{ATTACK}"],
    "a misspelt command": [f"ru{ATTACK}"],
    "a misspelt option": ["run", "X", f"--{ATTACK}"],
    "a manifest that is not there": ["batch", "validate", f"m{ATTACK}.csv", "--workflow", "X"],
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS.keys())
def test_cli_output_has_no_unsafe_characters_from_platform_or_arguments(opus, hostile, words):
    said = opus(*words, env=hostile)
    assert said.out + said.err
    assert not set(said.out + said.err) & set(UNSAFE)


@pytest.mark.parametrize("words", [COMMANDS["workflow show"], COMMANDS["audit"]], ids=["workflow", "audit"])
def test_cli_output_on_terminal_has_no_unsafe_characters(hostile, tmp_path, words):
    drawn, _ = Terminal(*words, cwd=tmp_path, **hostile).read()
    assert "pwned" in drawn
    assert not set(drawn) & set(UNSAFE) - {"\r"}


def test_live_display_writes_only_its_own_control_sequences(to, tmp_path):
    folder = tmp_path / f"in{ATTACK.replace('/', '')}"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}{ATTACK}.txt").write_text(str(number))
    words = ["batch", "run", folder, "--workflow", "D0cumentWorkfl0w", "--out", tmp_path / f"out{ATTACK}"]
    drawn, code = Terminal(*words, cwd=tmp_path, **to).read()
    assert "pwned" in drawn
    assert not any(piece in drawn for piece in ("\x1b]", "\x07", "\x1b[2J", "\x9b", "\x9d", "\x9c", "\u202e"))
    assert code in {0, 1, 2}
