"""Arguments: help that fits, typing errors that are understood, documented exit codes, completion."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import environment

from opus_async.cli import batch as batch_command
from opus_async.cli import operativus, parser
from opus_async.cli.batch import VERBS
from opus_async.exits import Exit

EXIT_CODES = Path(__file__).parents[2] / "docs" / "reference" / "exit-codes.md"
HELPS = [
    *((), ("demo",), ("doctor",), ("workflow",), ("workflow", "show"), ("run",), ("wait",), ("audit",)),
    *(("simulate",), ("batch",)),
    *(("batch", verb) for verb in VERBS),
    ("operativus",),
    *(("operativus", verb) for verb in operativus.VERBS),
]


@pytest.mark.parametrize("words", HELPS, ids=" ".join)
def test_help_fits_80_columns(opus, words):
    said = opus(*words, "--help", env={"COLUMNS": "80"})
    assert [line for line in said.out.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("columns", [1, 10, 40, 300])
@pytest.mark.parametrize("words", [(), ("batch", "run"), ("simulate",)], ids=" ".join)
def test_help_is_printed_on_terminal_of_any_width(opus, words, columns):
    said = opus(*words, "--help", env={"COLUMNS": str(columns)})
    assert (said.code, said.err) == (0, "")
    assert "usage:" in said.out


@pytest.mark.parametrize("columns", [1, 10, 40])
@pytest.mark.parametrize("words", [("doctor",), ("workflow", "show", "T3xtOnlyWorkfl0w"), ("batch", "fly")])
def test_output_is_printed_on_terminal_of_any_width(opus, to, words, columns):
    said = opus(*words, env={**to, "COLUMNS": str(columns)})
    assert said.code in {0, 2}
    assert said.out + said.err


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("doktor",), "opus-async doctor"),
        (("Run", "X"), "opus-async run"),
        (("status", "d"), "opus-async batch status"),
        (("statsu", "d"), "opus-async batch status"),
        (("show", "X"), "opus-async workflow show"),
        (("help",), "opus-async --help"),
        (("version",), "opus-async --version"),
        (("batch", "rum", "a.csv"), "opus-async batch run"),
        (("batch", "exprot", "d"), "opus-async batch export"),
        (("workflow", "shwo", "X"), "opus-async workflow show"),
        (("run", "X", "--tiemout", "3"), "--timeout"),
        (("run", "X", "--inpt=a=b"), "--input"),
        (("batch", "run", "a.csv", "--workfow", "X"), "--workflow"),
        (("batch", "export", "d", "--format", "json"), "jsonl"),
        (("doctor", "--jsno"), "--json"),
        (("demo", "--faults", "flakey"), "flaky"),
        (("--vesion",), "--version"),
        (("operativus", "workflow"), "opus-async operativus workflows"),
        (("operativus", "run", "W", "--inptu", "x"), "--input"),
        (("batch", "run", "a.csv", "--workflow", "X", "--platform", "operatvus"), "operativus"),
        (("simulate", "--run-tme", "3"), "--run-time"),
    ],
)
def test_misspelt_word_is_answered_with_the_nearest(opus, words, meant):
    said = opus(*words)
    assert (said.code, said.out) == (2, "")
    assert f"did you mean '{meant}'?" in said.err
    assert len(said.err.splitlines()) == 2  # and not all options before it


@pytest.mark.parametrize("words", [("zzz",), ("run", "X", "--qqqq"), ("batch", "zzz")])
def test_word_that_is_near_nothing_gets_no_suggestion(opus, words):
    said = opus(*words)
    assert said.code == 2
    assert "did you mean" not in said.err
    assert words[-1] in said.err


def test_option_may_be_abbreviated_and_values_may_look_like_options(opus):
    found = parser.build().parse_args(["run", "X", "--time", "5m", "--input", "a=--tiemout"])
    assert (found.timeout, found.input) == (300, ["a=--tiemout"])


def test_short_version_option_prints_the_version(opus):
    assert opus("-V").out == opus("--version").out != ""


def test_timeout_option_takes_units_in_every_command(opus, to):
    for words in (("run", "T3xtOnlyWorkfl0w", "--input", "Text=a"), ("wait", "2514")):
        assert parser.build().parse_args([*words, "--timeout", "1h30m"]).timeout == 5400
    words = [
        "batch",
        "run",
        "a.csv",
        "--workflow",
        "X",
        "--timeout",
        "2h",
        "--outage",
        "30m",
        "--drain",
        "1m",
    ]
    found = parser.build().parse_args(words)
    assert (found.timeout, found.outage, found.drain) == (7200, 1800, 60)


# Exit codes


def _documented(heading):
    """Code -> meaning in the table of the page on exit codes that has this heading."""
    table = EXIT_CODES.read_text("utf-8").split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    return {int(code): meaning for code, meaning in re.findall(r"^\| (\d+) \| (.*) \|$", table, re.MULTILINE)}


def _told(text):
    return dict(re.findall(r"^  (\d+) +(.*)$", text.split("exit codes:\n", 1)[1], re.MULTILINE))


def test_exit_codes_of_page_are_those_of_help_and_code(opus):
    documented = _documented("exit code of every command")
    helped = _told(opus("--help", env={"COLUMNS": "200"}).out)
    plain = {str(code): meaning.replace("`", "") for code, meaning in documented.items() if code != 141}
    assert plain == helped
    assert {int(code) for code in helped} == set(Exit)


def test_exit_codes_of_batch_are_the_same_in_page_and_help(opus):
    helped = _told(batch_command._EPILOG)
    of_load_tests = {Exit.SLO_FAILED, Exit.INVALID_LOAD}
    codes = set(map(int, parser._EXIT_CODES)) - of_load_tests
    assert {int(code) for code in helped} == set(_documented("exit code")) == codes


# Completion


def _tab(folder, *words):
    """What bash offers for the last of these words."""
    script = f"""
        source completion.bash
        COMP_WORDS=({" ".join(f"'{word}'" for word in words)}); COMP_CWORD={len(words) - 1}; COMPREPLY=()
        $(complete -p opus-async | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        echo "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_completion_script_completes_commands_options_choices_and_files(opus, tmp_path):
    said = opus("--print-completion", "bash")
    (tmp_path / "completion.bash").write_text(said.out)
    (tmp_path / "rows.csv").touch()
    (tmp_path / "rows-batch").mkdir()
    assert _tab(tmp_path, "opus-async", "wo") == ["workflow"]
    assert _tab(tmp_path, "opus-async", "batch", "exp") == ["export"]
    assert _tab(tmp_path, "opus-async", "batch", "run", "--max") == ["--max-in-flight"]
    assert _tab(tmp_path, "opus-async", "run", "X", "--api", "") == ["v0", "v1", "auto"]
    assert set(_tab(tmp_path, "opus-async", "batch", "run", "rows")) == {"rows.csv", "rows-batch"}
    assert _tab(tmp_path, "opus-async", "batch", "status", "rows") == ["rows-batch"]
    assert _tab(tmp_path, "opus-async", "simulate", "--list") == ["--list-traits"]
    assert _tab(tmp_path, "opus-async", "operativus", "res") == ["resume"]
    assert "rows.csv" in _tab(tmp_path, "opus-async", "operativus", "apply", "rows")
    assert _tab(tmp_path, "opus-async", "operativus", "apply", "--pr") == ["--prune"]
    assert _tab(tmp_path, "opus-async", "batch", "run", "rows.csv", "--platform", "o") == [
        "opus",
        "operativus",
    ]


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_completion_script_is_made_for_other_shells(opus, shell):
    said = opus("--print-completion", shell)
    assert said.code == 0
    assert "shtab" in said.out


def test_completion_library_is_imported_by_its_option_alone():
    program = (
        "import sys; from opus_async.cli import main; main(['--help']); sys.exit('shtab' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, env=environment())


def test_completion_without_library_names_the_extra(opus, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    said = opus("--print-completion", "bash")
    assert said.code == 2
    assert "pip install 'opus-async[completion]'" in said.err


def test_parser_of_every_command_is_of_our_class():
    def below(one):
        yield one
        for action in one._actions:
            if isinstance(action, argparse._SubParsersAction):
                for each in action.choices.values():
                    yield from below(each)

    assert {type(each) for each in below(parser.build(whole=True))} == {type(parser.build())}


def _commands(one):
    """The parsers of all commands that do something, with their words."""
    groups = [action for action in one._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield one
    for group in groups:
        for each in group.choices.values():
            yield from _commands(each)


def _required(command):
    """The arguments that a command cannot do without."""
    one_of = [action for group in command._mutually_exclusive_groups for action in group._group_actions]
    return [action for action in command._actions if action.required and action not in one_of]


NEEDY = [command for command in _commands(parser.build(whole=True)) if _required(command)]


@pytest.mark.parametrize("command", NEEDY, ids=lambda command: command.prog)
def test_missing_arguments_are_told_with_what_they_are_for_and_an_example(command, capsys):
    with pytest.raises(SystemExit) as ended:
        command.parse_args([])
    assert ended.value.code == 2
    *told, _ = said = capsys.readouterr().err.splitlines()
    assert "usage:" not in said
    missing = [line.split(" is missing: ") for line in told if " is missing: " in line]
    wanted = [(action.option_strings or [action.metavar])[0] for action in _required(command)]
    assert [where.removeprefix(f"{command.prog}: ").split()[0] for where, _ in missing] == wanted
    assert all(what_for.strip() for _, what_for in missing)
    example = told[told.index("For example:") + 1]
    assert example.startswith(f"  {command.prog} ")
    assert said[-1] == f"All options: {command.prog} --help"


def test_missing_one_of_several_options_is_told_with_all_of_them(opus):
    said = opus("load", "run", "--workflow", "W", "--inputs", "rows.csv", "--out", "l")
    assert said.code == 2
    first, *rest = said.err.splitlines()
    assert first.startswith("opus-async load run: one of these is missing: --rate N/s (jobs a second: ")
    assert "; --stages STAGES (" in first
    assert "; --concurrency N (" in first
    assert rest[0] == "For example:"
    assert rest[2].startswith("      --warm-up 30s")  # an example is told to its end


@pytest.mark.parametrize("words", [("load",), ("batch",), ("workflow",), ("operativus",)], ids=" ".join)
def test_missing_command_is_told_with_those_there_are(opus, words):
    said = opus(*words)
    assert said.code == 2
    assert re.match(rf"opus-async {words[0]}: a command is missing: \w+", said.err)
