"""Dialect traits: the ways in which a real server was seen to differ from the newest documentation.

The simulator without traits answers as the newest vendor pages say. A trait is one named departure from
that; a set of them is a dialect. This module is the list of names; the behaviour is where the answer is
made.
"""

from __future__ import annotations

from typing import Final

CALLBACK_REQUIRED: Final = "callback_required"
LAX_CONTENT_TYPE: Final = "lax_content_type"
NUMERIC_IDS: Final = "numeric_ids"
SPACED_STATUS: Final = "spaced_status"
EXECUTE_200: Final = "execute_200"
EXECUTE_ECHO: Final = "execute_echo"
EXECUTE_INNER_ERROR: Final = "execute_inner_error"
EXECUTE_REPEAT_REFUSED: Final = "execute_repeat_refused"
QUEUED_LOOKS_UNSTARTED: Final = "queued_looks_unstarted"
RESULTS_BARE_LIST: Final = "results_bare_list"
RESULTS_OLD: Final = "results_old"
RESULTS_NESTED: Final = "results_nested"
RESULTS_LATE: Final = "results_late"
AUDIT_TRAIL: Final = "audit_trail"
AUDIT_NULL: Final = "audit_null"
AUDIT_MISSING: Final = "audit_missing"
AUDIT_ALL_REMAINING: Final = "audit_all_remaining"
UNKNOWN_FIELDS_REFUSED: Final = "unknown_fields_refused"

TRAITS: Final[dict[str, str]] = {
    CALLBACK_REQUIRED: "execute without a callbackUrl is refused with 400",
    LAX_CONTENT_TYPE: "storage ignores a Content-Type that was not signed, instead of answering 403",
    NUMERIC_IDS: "jobExecutionId is a JSON number in answers",
    SPACED_STATUS: "a running job is `IN PROGRESS`, with a space, as the older pages write it",
    EXECUTE_200: 'execute answers HTTP 200 {"statusCode": 200, "message": "Job Started"}',
    EXECUTE_ECHO: "execute echoes jobPayloadSchemaInstance as bare values, as the older pages show",
    EXECUTE_INNER_ERROR: "the first execute of a job answers 200 with an inner 500 and starts nothing",
    EXECUTE_REPEAT_REFUSED: "a second execute of one job is answered with 409",
    QUEUED_LOOKS_UNSTARTED: "while it is queued, an accepted job answers exactly like a shell that never ran",
    RESULTS_BARE_LIST: "results are a list of bare values",
    RESULTS_OLD: "results have the shape of the older pages: summary, outputFiles, data",
    RESULTS_NESTED: "jobResultsPayloadSchema stands inside `results`",
    RESULTS_LATE: "results of a completed job answer 202 twice before they answer 200",
    AUDIT_TRAIL: "the audit is an auditTrail of actions, as the older pages show",
    AUDIT_NULL: "`audit` and the lists of the audit are null",
    AUDIT_MISSING: "the audit answers 404",
    AUDIT_ALL_REMAINING: "the audit of a finished run still lists every node as remaining",
    UNKNOWN_FIELDS_REFUSED: "a request field the documentation does not name is refused with 400",
}
"""Every trait and what it changes, in one sentence."""
