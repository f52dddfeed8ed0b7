"""``.env`` and ``--env-file``: what is taken, from whom, and what a folder from somebody else may not do."""

from __future__ import annotations

import os
import threading
from contextlib import chdir

import pytest
from command_line import WRONG_KEY, at, serving

from opus_async.cli.environment import MOST_BYTES, EnvironmentFile
from opus_async.cli.errors import WrongUse
from opus_async.cli.platforms.operativus import ENTRY as OPERATIVUS
from opus_async.cli.platforms.opus import ENTRY
from opus_async.errors import ConfigurationError

TEXT = "T3xtOnlyWorkfl0w"
SHOW = ("workflow", "show", TEXT)
VENDOR = "https://operator.opus.com"


def loaded(path, **environ):
    """What the environment is, once the file was loaded as the .env of its folder."""
    with chdir(path.parent):
        EnvironmentFile(None, environ).load(ENTRY)
    return environ


@pytest.fixture
def dotenv(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / ".env"
        path.write_bytes(text.encode(encoding))
        return path

    return write


@pytest.fixture
def stranger():
    """A host that notes every key that it is given."""
    got = []

    def answer(request):
        got.append(request.headers.get("x-service-key"))
        return 200, b"{}"

    with serving(answer) as port:
        yield at(port)["OPUS_BASE_URL"], got


# What is taken


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("OPUS_SERVICE_KEY=_abc", "_abc"),
        ("  export  OPUS_SERVICE_KEY = _abc  ", "_abc"),
        ('OPUS_SERVICE_KEY="_a b#c" # comment', "_a b#c"),
        ("OPUS_SERVICE_KEY='_a\"b'", '_a"b'),
        ("OPUS_SERVICE_KEY=_abc # comment", "_abc"),
        ("OPUS_SERVICE_KEY=_a#c", "_a#c"),
        ("OPUS_SERVICE_KEY=", ""),
        ("OPUS_SERVICE_KEY=a=b", "a=b"),
        ("OPUS_SERVICE_KEY=${HOME}", "${HOME}"),
        ("OPUS_SERVICE_KEY=first\nOPUS_SERVICE_KEY=last", "last"),
        ("no line: at all\n\tOPUS_SERVICE_KEY=_abc", "_abc"),
        ("#OPUS_SERVICE_KEY=_abc", None),
        ("MY_OPUS_SERVICE_KEY=x", None),
        ("opus_service_key=x", None),
        ("OPUS_SERVICE_KEY", None),
        ("", None),
    ],
)
def test_env_file_parses_lines(dotenv, line, value):
    expected = {} if value is None else {"OPUS_SERVICE_KEY": value}
    assert loaded(dotenv(line)) == expected


OTHERS = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "PATH", "SSL_CERT_FILE", "OPUS_X")
PLACES = ("https://evil.test/hook", "  https://evil.test ", f"{VENDOR}.evil.test", "x")


@pytest.mark.parametrize("name", OTHERS)
def test_env_file_ignores_foreign_variable_names(dotenv, name):
    assert loaded(dotenv(f"{name}=http://evil.test\nOPUS_API=v1\n")) == {"OPUS_API": "v1"}


def test_env_file_adds_only_unset_variables(dotenv, tmp_path):
    path = dotenv("\ufeffOPUS_API=v0\r\nOPUS_BASE_URL=https://a.test\r\n")
    assert loaded(path, OPUS_API="mine") == {"OPUS_API": "mine", "OPUS_BASE_URL": "https://a.test"}
    path.unlink()
    assert loaded(path) == {}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_env_file_reads_windows_encodings(dotenv, encoding):
    assert loaded(dotenv("OPUS_SERVICE_KEY=_é\r\n", encoding)) == {"OPUS_SERVICE_KEY": "_é"}


def test_env_file_with_comment_in_unknown_encoding_is_read(dotenv, tmp_path):
    path = dotenv("")
    path.write_bytes(b"# caf\xe9 \x80\r\nOTHER=\xff\r\nexport OPUS_SERVICE_KEY=_abc\r\n")
    assert loaded(path) == {"OPUS_SERVICE_KEY": "_abc"}


def test_env_file_option_of_null_device_means_no_file(opus, to):
    assert opus(*SHOW, "--env-file", os.devnull, env=to).code == 0


def test_env_file_in_utf_16_is_read_by_every_reader_of_its_settings(opus, to, dotenv):
    dotenv("".join(f"{name}={value}\r\n" for name, value in to.items()), "utf-16")
    assert opus(*SHOW).code == 0
    assert "sets OPUS_SERVICE_KEY, OPUS_BASE_URL" in opus("doctor").out


def test_env_file_yields_to_key_in_environment(opus, to, dotenv):
    dotenv("".join(f"export {name}='{value}'  # of the simulator\n" for name, value in to.items()))
    assert opus(*SHOW).code == 0
    refused = opus(*SHOW, env={"OPUS_SERVICE_KEY": WRONG_KEY})
    assert refused.code == 4
    assert ".env" in refused.err  # the simulator is not asked with a key that its file does not hold
    assert opus(*SHOW, env={**to, "OPUS_SERVICE_KEY": WRONG_KEY}).code == 4


# Where it leads


@pytest.mark.parametrize("name", ["OPUS_BASE_URL", "OPUS_CALLBACK_URL"])
@pytest.mark.parametrize("own", ["", "OPUS_SERVICE_KEY=\n", f"OPUS_SERVICE_KEY={WRONG_KEY}\n"])
@pytest.mark.parametrize("place", PLACES)
def test_env_file_may_not_redirect_a_key_it_does_not_hold(dotenv, name, own, place):
    path = dotenv(f"{own}{name}={place}\n")
    with pytest.raises(ConfigurationError, match=name) as refused:
        loaded(path, OPUS_SERVICE_KEY="_mine")
    assert "--env-file" in refused.value.message
    assert "_mine" not in refused.value.message
    assert "/hook" not in refused.value.message  # the path of a callback can be a secret


@pytest.mark.parametrize("name", ["OPUS_BASE_URL", "OPUS_CALLBACK_URL"])
def test_env_file_may_redirect_its_own_key(dotenv, name):
    path = dotenv(f"OPUS_SERVICE_KEY=_mine\n{name}=https://a.test\n")
    both = {"OPUS_SERVICE_KEY": "_mine", name: "https://a.test"}
    assert loaded(path) == both
    assert loaded(path, OPUS_SERVICE_KEY=" _mine ") == both | {"OPUS_SERVICE_KEY": " _mine "}


def test_env_file_may_name_the_default_host(dotenv):
    assert loaded(dotenv(f"OPUS_BASE_URL={VENDOR}/\n"), OPUS_SERVICE_KEY="_mine")["OPUS_BASE_URL"]


def test_env_file_does_not_expand_other_variables(dotenv):
    path = dotenv("OPUS_SERVICE_KEY=_own\nOPUS_BASE_URL=https://evil.test/${SECRET}\n")
    assert "hush" not in loaded(path, SECRET="hush")["OPUS_BASE_URL"]


@pytest.mark.parametrize(
    "words",
    [
        SHOW,
        ("run", TEXT, "--input", "Text=x"),
        ("wait", "1"),
        ("audit", "1"),
        ("doctor",),
        ("batch", "validate", "m.csv", "--workflow", TEXT),
        ("batch", "run", "m.csv", "--workflow", TEXT, "--out", "b"),
    ],
)
def test_env_file_url_gets_no_key_from_environment_in_any_command(opus, dotenv, stranger, tmp_path, words):
    url, got = stranger
    dotenv(f"OPUS_BASE_URL={url}\n")
    (tmp_path / "m.csv").write_text("Text\nx\n")
    said = opus(*words, env={"OPUS_SERVICE_KEY": WRONG_KEY})
    assert said.code == 4, said
    assert "OPUS_BASE_URL" in said.out + said.err
    assert got == []
    assert not (tmp_path / "b").exists()


def test_env_file_option_may_redirect_any_key(opus, to, dotenv, tmp_path):
    dotenv(f"OPUS_BASE_URL={to['OPUS_BASE_URL']}\n").rename(tmp_path / "mine.env")
    key = {"OPUS_SERVICE_KEY": to["OPUS_SERVICE_KEY"]}
    assert opus(*SHOW, "--env-file", "mine.env", env=key).code == 0
    assert opus("--env-file", "mine.env", *SHOW, env=key).code == 0
    assert opus("--env-file=mine.env", "doctor", env=key).code == 0
    (tmp_path / "t.csv").write_text("Text\nx\n")
    assert opus("batch", "validate", "t.csv", "--workflow", TEXT, "--env-file", "mine.env", env=key).code == 0


def test_env_file_option_replaces_default_env_file(opus, to, dotenv, tmp_path):
    dotenv("".join(f"{name}={value}\n" for name, value in to.items())).rename(tmp_path / "mine.env")
    dotenv("OPUS_BASE_URL=https://evil.test\nOPUS_API=v9\n")
    assert opus(*SHOW, "--env-file", "mine.env").code == 0


def test_env_file_option_is_accepted_before_simulate_command(opus):
    for way in (("--env-file", "x"), ("--env-file=x",)):
        assert "usage" in opus(*way, "simulate", "--help").out


# What cannot be read


@pytest.fixture(params=["a folder", "Latin-1", "a pipe", "a device", "NUL", "too large", "a loop"])
def unreadable(request, tmp_path):
    path = tmp_path / ".env"
    match request.param:
        case "a folder":
            path.mkdir()
        case "Latin-1":
            path.write_bytes(b"OPUS_API=caf\xe9\n")
        case "a pipe":
            os.mkfifo(path)
        case "a device":
            path.symlink_to("/dev/zero")
        case "NUL":
            path.write_bytes(b"OPUS_API=v\x001\n")
        case "too large":
            path.write_bytes(b"#" * (MOST_BYTES + 1))
        case "a loop":
            path.symlink_to(path)
    return path


def test_env_file_unreadable_is_ignored_if_key_is_set(unreadable):
    assert loaded(unreadable, OPUS_SERVICE_KEY="_mine") == {"OPUS_SERVICE_KEY": "_mine"}


def test_env_file_unreadable_raises_if_key_is_missing(unreadable):
    for nothing in ({}, {"OPUS_SERVICE_KEY": " "}):
        with pytest.raises(WrongUse, match=r"^\.env cannot be read: "):
            loaded(unreadable, **nothing)


def test_env_file_unreadable_warns_with_key_and_exits_2_without(opus, to, unreadable):
    shown = opus(*SHOW, env=to)
    assert shown.code == 0
    assert shown.err.startswith("opus-async: .env cannot be read (")
    doctor = opus("doctor", env=to)
    assert (doctor.code, "cannot be read" in doctor.out) == (0, True)
    said = opus(*SHOW)
    assert said.code == 2
    assert said.err.startswith("opus-async: .env cannot be read: ")


def test_env_file_option_exits_2_for_unreadable_file(opus, to, tmp_path):
    for path in ("gone.env", tmp_path):
        said = opus(*SHOW, "--env-file", path, env=to)
        assert said.code == 2
        assert str(path) in said.err


def test_env_file_option_reads_named_pipe_to_its_end(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=("OPUS_API=v1\n",))
    writer.start()
    environ = {}
    EnvironmentFile(path, environ).load(ENTRY)
    writer.join()
    assert environ == {"OPUS_API": "v1"}


def test_env_file_option_reads_named_pipe_once_per_command(opus, to, tmp_path):
    (tmp_path / "t.csv").write_text("Text\nx\n")
    assert opus("batch", "run", "t.csv", "--workflow", TEXT, "--out", "b", env=to).code == 0
    (tmp_path / "t.csv").write_text("Text\nx\ny\n")
    os.mkfifo(tmp_path / "pipe")
    text = "".join(f"{name}={value}\n" for name, value in to.items())
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=(text,))
    writer.start()
    said = opus("batch", "resume", "b", "--env-file", "pipe")
    writer.join()
    assert said.code == 0, said


def test_env_file_does_not_complain_about_malformed_lines(opus, to, dotenv):
    dotenv("this: is {no line\n$$$\n")
    said = opus(*SHOW, env=to)
    assert (said.code, "dotenv" in said.err) == (0, False)


# Another platform's


def test_env_file_gives_each_platform_its_own_names(dotenv):
    text = "OPERATIVUS_TOKEN=t\nOPUS_SERVICE_KEY=_abc\nOPERATIVUS_BASE_URL=http://a.test\n"
    path, environ = dotenv(text), {}
    with chdir(path.parent):
        EnvironmentFile(None, environ).load(OPERATIVUS)
    assert environ == {"OPERATIVUS_TOKEN": "t", "OPERATIVUS_BASE_URL": "http://a.test"}


@pytest.mark.parametrize("secret", ["OPERATIVUS_TOKEN", "OPERATIVUS_PASSWORD"])
def test_env_file_may_not_send_operativus_secret_elsewhere(dotenv, secret):
    path = dotenv("OPERATIVUS_BASE_URL=http://evil.test\n")
    with chdir(path.parent), pytest.raises(ConfigurationError, match=r"evil\.test, and the (token|password)"):
        EnvironmentFile(None, {secret: "mine"}).load(OPERATIVUS)
    with chdir(path.parent):
        EnvironmentFile(None, {secret: "mine"}).load(ENTRY)  # which is about that platform alone
    dotenv(f"OPERATIVUS_BASE_URL=http://mine.test\n{secret}=mine\n")
    with chdir(path.parent):
        EnvironmentFile(None, environ := {secret: "mine"}).load(OPERATIVUS)
    assert environ["OPERATIVUS_BASE_URL"] == "http://mine.test"
