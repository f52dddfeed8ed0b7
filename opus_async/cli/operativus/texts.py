"""Texts that are given as an argument, or on stdin."""

from __future__ import annotations

from typing import TextIO

from opus_async.cli.errors import WrongUse


def given(argument: str, option: str, *, stdin: TextIO | None) -> str:
    """The text of an argument; what stdin holds, in UTF-8 whatever the locale says, for ``-``.

    Args:
        argument: What was typed.
        option: Its option, for errors.
        stdin: Where ``-`` is read from; None where it is closed.

    Raises:
        WrongUse: stdin cannot be read, or holds what is not UTF-8.
    """
    if argument != "-":
        return argument
    if stdin is None:
        raise WrongUse(f"{option} -: stdin is closed; pipe the text into this command")
    try:
        return stdin.buffer.read().decode("utf-8-sig")
    except OSError as error:
        raise WrongUse(f"{option} -: stdin cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise WrongUse(f"{option} -: stdin is not in UTF-8") from None
