"""The command line of the simulator: arguments to a configuration, and the lines a shell can eval.

Exit codes: 0 after Ctrl-C or SIGTERM, 2 for wrong use (a taken port, a bad workflow file), 127 for a
command that cannot be started, and with a command whatever the command exits with.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import shlex
import shutil
import sys
import textwrap
from contextlib import ExitStack, suppress
from difflib import get_close_matches
from typing import TYPE_CHECKING

from opus_async.simulator.builtin import BUILTIN
from opus_async.simulator.callback_profiles import PROFILES as CALLBACK_PROFILES
from opus_async.simulator.config import SimulatorConfig
from opus_async.simulator.control import Control
from opus_async.simulator.durations import Duration
from opus_async.simulator.faults import PROFILES
from opus_async.simulator.operativus import options as operativus_options
from opus_async.simulator.operativus.traits import TRAITS as OPERATIVUS_TRAITS
from opus_async.simulator.process_lifetime import run_command, until_ended
from opus_async.simulator.server import Simulator
from opus_async.simulator.traits import TRAITS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO

    from opus_async.simulator.operativus.accounts import Account

WRONG_USE = 2
READY = "# ready"
_FILES_OF_A_LOOP = 3
_WORKFLOW_FILE = "serve workflows of a JSON file too: what 'opus-async workflow show ID --json' prints, say"


_EPILOG = """\
times: 0.5 (seconds), 300ms, 2m, 1-4, lognormal:1.0,0.5 (median and sigma),
  exponential:1.0 (mean)

examples:
  opus-async simulate --seed 3 --run-time 200ms-2s
  opus-async simulate --faults flaky -- python my_program.py
  opus-async simulate --list-traits
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of `opus-async simulate`; a command after `--` is split off before it parses."""
    parser = argparse.ArgumentParser(
        prog="opus-async simulate",
        description="An Opus on loopback: until Ctrl-C, or while COMMAND runs.",
        usage="%(prog)s [options] [-- COMMAND ...]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EPILOG,
    )
    add_arguments(parser)
    return parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `opus-async simulate` to a parser."""
    default = SimulatorConfig()
    parser.add_argument(
        "--list-traits",
        action="store_true",
        help="print the built-in workflows, fault and callback profiles and traits, and end",
    )
    _add_serving(parser.add_argument_group("serving"), default)
    _add_workload(parser.add_argument_group("workload"), default)
    _add_trouble(parser.add_argument_group("what goes wrong, and traits"), default)
    operativus_options.add_arguments(parser.add_argument_group("Operativus, the second platform"))


def catalogue() -> str:
    """Return what can be named in arguments, and what each means, as wide as the terminal."""
    return "\n".join(
        [
            *_listed("built-in workflows", {each.workflow_id: each.description for each in BUILTIN}),
            *_listed("fault profiles", {each.name: each.summary for each in PROFILES.values()}),
            *_listed("callback profiles", {each.name: each.summary for each in CALLBACK_PROFILES.values()}),
            *_listed("traits", TRAITS),
            *_listed("settings of Operativus (--operativus-set)", operativus_options.SETTINGS),
            *_listed("traits of Operativus", OPERATIVUS_TRAITS),
        ]
    )


def _listed(title: str, summaries: Mapping[str, str]) -> list[str]:
    """Return names and what they mean, beside each other and as wide as the terminal."""
    wide = max(map(len, summaries)) + 4
    fold = textwrap.TextWrapper(
        max(shutil.get_terminal_size().columns - 2, 2 * wide),
        subsequent_indent=" " * wide,
        break_on_hyphens=False,
    )
    return [f"{title}:", *(fold.fill(f"  {name:<{wide - 2}}{text}") for name, text in summaries.items())]


def _add_serving(group: argparse._ArgumentGroup, default: SimulatorConfig) -> None:
    add = group.add_argument
    add("--host", default=default.host, help="loopback address to listen on (%(default)s)")
    add("--port", type=int, default=0, metavar="P", help="port of the API; 0 takes a free one")
    add("--storage-port", type=int, default=0, metavar="Q", help="port of the storage; 0 takes a free one")
    add(
        "--api",
        default=default.generations,
        choices=("both", "v0", "v1"),
        help="generations of the API to speak: v0 jobs, v1 cases (%(default)s)",
    )
    add("--key", help="the service key to accept; a synthetic one by default")
    add("--keep-files", metavar="DIR", help="keep uploads here: they can be downloaded")
    add("--verbose", action="store_true", help="log one line per request on stderr")
    add("--die-with-stdin", action="store_true", help="end when standard input ends, as with the parent")
    add("--scripted", action="store_true", help=argparse.SUPPRESS)  # for ScriptedSimulator


def _add_workload(group: argparse._ArgumentGroup, default: SimulatorConfig) -> None:
    add = group.add_argument
    add("--workflow", action="append", default=[], metavar="FILE", help=_WORKFLOW_FILE)
    add("--seed", type=int, default=default.seed, metavar="N", help="what every draw depends on")
    add("--run-time", default=default.run_time, metavar="SPEC", help="how long a run takes (%(default)s)")
    add(
        "--queue-time",
        default=default.queue_time,
        metavar="SPEC",
        help="time before a run starts (%(default)s)",
    )
    add("--fail-share", type=float, default=0.0, metavar="SHARE", help="share of runs that fail, 0 to 1")
    add("--waiting-share", type=float, default=0.0, metavar="SHARE", help="share of runs that are parked")
    add(
        "--waiting-time",
        default=default.waiting_time,
        metavar="SPEC",
        help="time that such a run waits (%(default)s)",
    )


def _add_trouble(group: argparse._ArgumentGroup, default: SimulatorConfig) -> None:
    add = group.add_argument
    add("--faults", default=default.faults, metavar="PROFILE", help="a fault profile (%(default)s)")
    add("--capacity", type=int, metavar="N", help="runs at work at once; others are queued (any number)")
    add("--rate-limit", type=_rate, metavar="N", help="API requests per second before 429")
    add(
        "--url-expiry",
        type=_whole_seconds,
        default=default.url_expiry,
        metavar="TIME",
        help="validity of upload URLs (%(default)s)",
    )
    add(
        "--max-file-size", type=int, default=default.max_file_size, metavar="BYTES", help="largest file taken"
    )
    add(
        "--sign-content-type",
        nargs="?",
        const="always",
        default="never",
        choices=("never", "always", "alternate"),
        help="sign content-type in upload URLs",
    )
    add(
        "--callbacks",
        default=default.callbacks,
        metavar="PROFILE",
        help="how a callbackUrl is called (%(default)s)",
    )
    add("--callback-required", action="store_true", help="refuse an execute without callbackUrl")
    add("--trait", action="append", default=[], metavar="NAME", help="a departure from the newest pages")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the simulator until it is told to end.

    Args:
        argv: The arguments without the program's name; those of the process if None.

    Returns:
        The exit code.
    """
    arguments, command = _split_command(list(sys.argv[1:] if argv is None else argv))
    options = _parse(arguments)
    try:
        if options.list_traits:
            sys.stdout.write(catalogue() + "\n")
            sys.stdout.flush()
            return 0
        config = _configure(options)
        _require_files()
        return asyncio.run(_serve(config, command, options))
    except (ValueError, OSError) as error:
        with suppress(OSError):
            sys.stderr.write(f"opus-async simulate: {error}\n")
        return WRONG_USE


def _require_files() -> None:
    """Raise OSError where no event loop can be made: a half made one would print a traceback."""
    with ExitStack() as files:
        for _ in range(_FILES_OF_A_LOOP):
            files.enter_context(open(os.devnull))  # noqa: PTH123 - as plain as it gets


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = build_parser()
    options, unknown = parser.parse_known_args(arguments)
    if unknown and unknown[0].startswith("-"):
        known = [option for action in parser._actions for option in action.option_strings]  # noqa: SLF001 - argparse tells them in no other way
        near = get_close_matches(unknown[0].partition("=")[0], known, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        parser.error(f"unrecognized arguments: {' '.join(unknown)}{meant}")
    if unknown:
        border = arguments.index(unknown[0])
        meant = shlex.join((*arguments[:border], "--", *arguments[border:]))
        parser.error(f"put -- before the command: {parser.prog} {meant}")
    return options


def _split_command(argv: list[str]) -> tuple[list[str], list[str]]:
    if "--" not in argv:
        return argv, []
    border = argv.index("--")
    return argv[:border], argv[border + 1 :]


def _whole_seconds(text: str) -> int:
    try:
        return round(Duration.parse(text).constant)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _rate(text: str) -> float:
    return float(text.removesuffix("/s"))


def _configure(options: argparse.Namespace) -> SimulatorConfig:
    of_operativus = set(options.trait) & set(OPERATIVUS_TRAITS)
    if of_operativus and options.operativus_port is None:
        raise ValueError(f"the trait {min(of_operativus)!r} is of Operativus: add --operativus-port 0")
    return SimulatorConfig(
        host=options.host,
        port=options.port,
        storage_port=options.storage_port,
        generations=options.api,
        workflow_files=tuple(options.workflow),
        faults=options.faults,
        seed=options.seed,
        run_time=options.run_time,
        queue_time=options.queue_time,
        fail_share=options.fail_share,
        waiting_share=options.waiting_share,
        waiting_time=options.waiting_time,
        capacity=options.capacity,
        rate_limit=options.rate_limit,
        url_expiry=options.url_expiry,
        sign_content_type=options.sign_content_type,
        max_file_size=options.max_file_size,
        callbacks=options.callbacks,
        callback_required=options.callback_required,
        traits=frozenset(options.trait) - of_operativus,
        key=options.key,
        keep_files=options.keep_files,
        verbose=options.verbose,
        operativus=operativus_options.configure(options, of_operativus),
    )


async def _serve(config: SimulatorConfig, command: list[str], options: argparse.Namespace) -> int:
    async with Simulator(config) as simulator:
        # The process is ours: what is alive now stays, and jobs are plain values without cycles.
        gc.freeze()
        gc.set_threshold(100_000, 20, 50)
        if command:
            with suppress(OSError):  # the command is told by its environment
                _announce(simulator, sys.stderr)
            return await run_command(command, _environment(simulator))
        _announce(simulator, sys.stdout)
        if options.scripted:
            beside = None if config.operativus is None else simulator.operativus.command
            control = Control(simulator.world.scripts, _write_out, beside)
            await until_ended(die_with_stdin=True, feed=control.feed)
        else:
            await until_ended(die_with_stdin=options.die_with_stdin)
        return 0


def _write_out(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.flush()


def _environment(simulator: Simulator) -> dict[str, str]:
    """Return the environment variables with which a client talks to this simulator."""
    found = {"OPUS_SERVICE_KEY": simulator.service_key, "OPUS_BASE_URL": simulator.base_url}
    if (served := simulator.config.generations) != "both":
        found["OPUS_API"] = served
    if simulator.config.operativus is not None:
        beside = simulator.operativus
        found |= {"OPERATIVUS_BASE_URL": beside.base_url, "OPERATIVUS_TOKEN": beside.token}
    return found


def _accounts(simulator: Simulator) -> list[Account]:
    """Return the users of the Operativus, where there is one."""
    return [] if simulator.config.operativus is None else list(simulator.operativus.accounts.values())


def _announce(simulator: Simulator, stream: TextIO | None) -> None:
    if stream is None:  # closed before we began: nobody is to be told
        return
    lines = [
        *(f"export {name}={value}" for name, value in _environment(simulator).items()),
        f"# storage {simulator.storage_url}",
        *(
            f"# user of Operativus: {each.username}, password {each.password}"
            for each in _accounts(simulator)
        ),
        *(f"# workflow {workflow.workflow_id}  {workflow.name}" for workflow in simulator.world.workflows),
        READY,
    ]
    stream.write("\n".join(lines) + "\n")
    stream.flush()
