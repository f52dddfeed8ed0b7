"""The root of all errors: what each of them carries, and how it is shown."""

from __future__ import annotations

from typing import Any, ClassVar

from opus_async.error_codes import COMES_FIRST, ErrorCode, NextAction, NextStep
from opus_async.gaps import group_of
from opus_async.redaction import mask_signatures


class OpusError(Exception):
    """The base of all errors of opus_async: catch it to catch them all.

    Attributes:
        job_id: The job this is about; None where no job came to be.
        stage: The stage of the lifecycle, in the platform's own words (for Opus: ``schema``, ``upload``,
            ``initiate``, ``execute``, ``watch``, ``results``); None outside the lifecycle.
        alias: The second id of the job, where the platform gave it one.
        shortage: What this machine ran out of (``open files``, ``memory``, ``threads``): nothing was sent,
            and the request is not to blame. None for any other error.
        is_final: Whether retries have ended with it: a retry around a retry must not multiply attempts.
        message: What happened and what to do next, in words that hold for a program and for a person.
        error_code: Which error it is, stable: the same for all of one class. What the platform, or storage,
            calls an error of its own is ``code``, where there is that.
        hint: How a program takes the next step, by calls and arguments of this library; empty where the
            message says all there is. The text of the error ends with it.
        group: The message without what differs from error to error, to count errors by.
    """

    error_code: ClassVar[ErrorCode] = ErrorCode.UNEXPECTED
    usual_action: ClassVar[NextAction | None] = None
    """What can be done about errors of this class, where nothing else is known."""
    alias: str | None = None
    shortage: str | None = None
    is_final: bool = False
    hint: str = ""
    _action: NextAction | None = None

    def __init__(self, message: str, *, job_id: str | None = None, stage: str | None = None) -> None:
        self.message, self.group = str(message), group_of(message)
        super().__init__(self.message)
        self.job_id = job_id
        self.stage = stage

    def __str__(self) -> str:
        job = f"job {self.job_id}" if self.job_id else ""
        stage = f"stage {self.stage}" if self.stage else ""
        where = ", ".join(filter(None, (job, stage)))
        text = with_hint(self.message, self.hint)
        return f"{text} [{where}]" if where else text

    def __reduce__(self) -> tuple[Any, ...]:
        """Copied and pickled with all that is known, whatever the arguments of the class."""
        return _rebuilt, (type(self), self.args, self.__dict__.copy())

    @property
    def next_step(self) -> NextStep | None:
        """What can be done about it, as a value; None where only the message tells."""
        action = self._action or self._action_by_itself()
        return None if action is None else NextStep(NextAction(action), self.job_id, self.alias)

    def _action_by_itself(self) -> NextAction | None:
        return self.usual_action

    def located(self, *, job_id: str | None = None, stage: str | None = None) -> OpusError:
        """Fill in where it happened, without overwriting what is known already; returns itself."""
        self.job_id = self.job_id or job_id
        self.stage = self.stage or stage
        return self

    def advised(self, action: NextAction, hint: str = "") -> OpusError:
        """Set the next step, unless the one that is known comes first; returns itself.

        Args:
            action: What can be done about it.
            hint: How a program does it, by calls and arguments of this library.
        """
        known = self.next_step
        if known is None or known.action not in COMES_FIRST or action in COMES_FIRST:
            self._action = action
            self.hint = hint or self.hint
        return self

    def to_dict(self) -> dict[str, str | None]:
        """What is known of it as plain JSON values, without secrets.

        Returns:
            ``type`` (the class), ``code`` (``error_code``), ``message`` (hint included), ``job_id``,
            ``stage``, and ``next_action`` (of ``next_step``; None where only the message tells).
        """
        step = self.next_step
        return {
            "type": type(self).__name__,
            "code": str(self.error_code),
            "message": mask_signatures(with_hint(self.message, self.hint)),
            "job_id": self.job_id,
            "stage": self.stage,
            "next_action": None if step is None else str(step.action),
        }

    def without_hint(self) -> str:
        """The text of the error without ``hint``, for a command line that words the next step itself."""
        hint, self.hint = self.hint, ""
        try:
            return str(self)
        finally:
            self.hint = hint


def _rebuilt(kind: type[OpusError], args: tuple[Any, ...], known: dict[str, Any]) -> OpusError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(known)
    return error


def with_hint(message: str, hint: str) -> str:
    """The message, followed by the hint on how to take the next step."""
    return f"{message.rstrip('.')}. {hint}." if hint else message


def first_error(error: BaseException) -> BaseException:
    """The first error inside a group, or the error itself: callers of ours never meet a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
