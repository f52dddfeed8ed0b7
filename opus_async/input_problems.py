"""What is wrong with a caller's inputs, as values: which input, what, and what to do about it."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from enum import StrEnum
from typing import Self

from opus_async.gaps import GAP, gapped


class ProblemCode(StrEnum):
    """What kind of problem it is: stable, for programs."""

    MISSING = "missing"
    """A required input was not given."""
    UNKNOWN_INPUT = "unknown_input"
    """The workflow has no input of that name."""
    AMBIGUOUS_INPUT = "ambiguous_input"
    """Several inputs have that display name."""
    GIVEN_TWICE = "given_twice"
    """Two names, or two columns, mean the same input."""
    UNKNOWN_TYPE = "unknown_type"
    """The type of the input is not known: any JSON value is taken for it, and sent as it is given."""
    WRONG_VALUE = "wrong_value"
    """The value does not fit the type of its input."""
    NO_FILE = "no_file"
    """There is no such file, it cannot be read, or it is no regular file."""
    FILE_DENIED = "file_denied"
    """A document elsewhere may not be read with the credentials at hand."""
    NO_MATCH = "no_match"
    """A pattern matches no file, or more than the one that the input takes."""
    FILE_TYPE = "file_type"
    """The platform, or the input, takes no files of this type."""
    FILE_EMPTY = "file_empty"
    """The file has no content."""
    FILE_TOO_LARGE = "file_too_large"
    """The file is larger than the limit."""
    FILE_OUTSIDE = "file_outside"
    """The file lies outside of the folder in which a manifest may name files."""
    FILE_CHANGED = "file_changed"
    """The file is not what it was when the batch was planned, or changed while it was read."""
    UNUSABLE_COLUMN = "unusable_column"
    """A column of the manifest cannot be used, whatever stands in a row."""
    BAD_KEY = "bad_key"
    """What is to name a row cannot be a key."""
    BAD_ARGUMENT = "bad_argument"
    """Something beside the inputs cannot be sent or used: a title, an id, a time-out, a destination."""
    NOT_SUPPORTED = "not_supported"
    """This generation of the platform's API has no such option."""
    OTHER = "other"
    """Nothing but its text is known."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class InputProblem(str):  # noqa: SLOT000 - the decorator defines them
    """One thing that is wrong with a caller's inputs: a sentence that has its parts as attributes.

    Attributes:
        message: What is wrong; with a subject it completes the sentence that the subject begins.
        code: What kind of problem it is.
        subject: What it is about, as the sentence names it: ``'Invoice' (invoice_file)``, ``column 'Path'``;
            empty where the message says that.
        input: The variable name of the input it is about; None when it is about none.
        display_name: Of that input.
        column: The column of a manifest it is about.
        fix: What to do about it; None where the message says that.
        file: The file it is about, as it was given.
        position: Its place in a list of files, from 0; of several that are wrong, that of the first.
        group: The message without what differs from value to value, to count problems by.
        parts: What differs: what stands in the gaps of ``group``, in order.
    """

    message: str
    _: KW_ONLY
    code: ProblemCode = ProblemCode.OTHER
    subject: str = ""
    input: str | None = None
    display_name: str | None = None
    column: str | None = None
    fix: str | None = None
    file: str | None = None
    position: int | None = None
    group: str = ""
    parts: tuple[str, ...] = ()

    def __new__(cls, message: str, *, subject: str = "", fix: str | None = None, **_: object) -> Self:
        """Make the sentence; the parts are set by what :func:`dataclasses.dataclass` makes."""
        return str.__new__(cls, _sentence(message, subject, fix))

    def __post_init__(self) -> None:
        if not self.group:
            object.__setattr__(self, "group", self.message)

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, str | None]]:
        """What a copy's sentence is made of; its parts come as state."""
        return (self.message,), {"subject": self.subject, "fix": self.fix}


_CLAUSES = ("there is ", "the ", "it ", "'", '"', GAP)
"""What a message begins with that has a subject of its own: a file, mostly, by its name in quotes."""


class Unfit(ValueError):
    """Raised for a value that does not fit, where it is not known yet which input it is for.

    Args:
        template: What is wrong, with ``{}`` for each part; see :func:`opus_async.gaps.gapped`.
        parts: What differs from value to value.
        code: What kind of problem it is.
        fix: What to do about it, if the template does not say it.
        file: The file it is about.

    Attributes:
        position: Its place in a list; None for a value by itself.
    """

    def __init__(
        self,
        template: str,
        *parts: object,
        code: ProblemCode = ProblemCode.WRONG_VALUE,
        fix: str | None = None,
        file: str | None = None,
    ) -> None:
        message = gapped(template, *parts)
        self.message, self.group, self.parts = str(message), message.group, message.parts
        self.code = code
        self.fix = fix
        self.file = file
        self.position: int | None = None
        super().__init__(_sentence(self.message, "", fix))

    @classmethod
    def of(cls, error: ValueError) -> Unfit:
        """Convert a ValueError that a caller's own class raised: its whole text is the variable part."""
        return error if isinstance(error, Unfit) else cls("{}", error)

    def problem(
        self,
        *,
        subject: str = "",
        input: str | None = None,  # noqa: A002 - as in InputProblem
        display_name: str | None = None,
        column: str | None = None,
    ) -> InputProblem:
        """Make the problem, once it is known which input the value is for.

        The arguments are the attributes of :class:`InputProblem` with these names.
        """
        return InputProblem(
            self.message,
            code=self.code,
            subject=subject,
            input=input,
            display_name=display_name,
            column=column,
            fix=self.fix,
            file=self.file,
            position=self.position,
            group=self.group,
            parts=self.parts,
        )


def bad_argument(message: str) -> InputProblem:
    """The problem of an argument that is no input: a title, say."""
    return InputProblem(message, code=ProblemCode.BAD_ARGUMENT)


def about(subject: str, message: str) -> str:
    """A message with its subject: a verb completes it, a clause of its own follows a colon.

    ``'Total' wants a whole number``, but ``'Scan': there is no file 'a.pdf'``.
    """
    if not subject:
        return message
    joint = ": " if message.startswith(_CLAUSES) else " "
    return f"{subject}{joint}{message}"


def _sentence(message: str, subject: str, fix: str | None) -> str:
    sentence = about(subject, message)
    return f"{sentence}; {fix}" if fix else sentence
