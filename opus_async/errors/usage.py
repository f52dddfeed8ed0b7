"""Errors of use, raised before anything is sent: settings, inputs, manifests, load tests."""

from __future__ import annotations

from collections.abc import Sequence

from opus_async.error_codes import ErrorCode, NextAction
from opus_async.errors.base import OpusError
from opus_async.input_problems import InputProblem
from opus_async.text import counted


class ConfigurationError(OpusError, ValueError):
    """A setting is missing or unusable; nothing was sent."""

    error_code = ErrorCode.CONFIGURATION
    usual_action = NextAction.CORRECT_SETTINGS


class InvalidInputs(OpusError, ValueError):
    """A caller's inputs do not fit the workflow; nothing was sent.

    Attributes:
        problems: All of them, not only the first. Each is a text that names the input by its display name,
            and has the input, a code and the fix beside it: see
            :class:`~opus_async.input_problems.InputProblem`.
    """

    error_code = ErrorCode.INVALID_INPUTS
    usual_action = NextAction.CORRECT_INPUTS

    def __init__(self, problems: Sequence[InputProblem | str], *, stage: str | None = None) -> None:
        self.problems = tuple(
            problem if isinstance(problem, InputProblem) else InputProblem(problem) for problem in problems
        )
        head = counted(len(self.problems), "problem with the inputs", "problems with the inputs")
        super().__init__("\n  - ".join((f"{head}; nothing was sent:", *self.problems)), stage=stage)


class WorkflowChanged(OpusError):
    """A workflow is not as it was when its Python module was written: see :mod:`opus_async.typed`.

    Attributes:
        problems: One sentence for each input or output, naming it by its display name.
    """

    error_code = ErrorCode.WORKFLOW_CHANGED
    usual_action = NextAction.CORRECT_INPUTS

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        self.problems = tuple(problems)
        super().__init__("\n  - ".join((message, *self.problems)))


class ManifestError(OpusError, ValueError):
    """A manifest cannot be run as it is, or does not fit the batch directory; nothing was sent.

    Attributes:
        summary: What happened, in one sentence; the message goes on with the problems.
        problems: One sentence per problem, each naming row, column or file, and the fix.
    """

    error_code = ErrorCode.MANIFEST
    usual_action = NextAction.CORRECT_MANIFEST

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        self.summary = message
        self.problems = tuple(problems)
        super().__init__("\n  - ".join((message, *self.problems)))


class LoadRefused(OpusError, ValueError):
    """A load test, or a comparison of two, is not begun: it cannot be as it was asked for, or costs too much.

    Nothing was sent.
    """

    error_code = ErrorCode.LOAD_REFUSED
    usual_action = NextAction.CORRECT_SETTINGS
