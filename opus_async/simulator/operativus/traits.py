"""Traits of Operativus: the named ways in which servers differ, and the two forms that are bundles of them.

Without traits the server answers as its public source does, the form ``real``; the form ``documented`` is the
one of the vendor's page. The behaviour is where the answer is made.
"""

from __future__ import annotations

from typing import Final

FLAT_PAGES: Final = "flat_pages"
STEPS_INLINE: Final = "steps_inline"
STEPS_STORED: Final = "steps_stored"
SHORT_STEPS: Final = "short_steps"
CURRENT_STEP_ORDER: Final = "current_step_order"
DURATION_NULL: Final = "duration_null"
UPDATED_MOVES: Final = "updated_moves"
ZULU_TIMES: Final = "zulu_times"
RUN_200: Final = "run_200"
SHORT_IDS: Final = "short_ids"
RAGGED_TIMES: Final = "ragged_times"
CLOCK_AHEAD: Final = "clock_ahead"
ROWS_AT_ONCE: Final = "rows_at_once"
ROWS_SHUFFLED: Final = "rows_shuffled"
QUEUE_STALLS: Final = "queue_stalls"
REAL_QUEUE: Final = "real_queue"
ROWS_SHIFT: Final = "rows_shift"
STATUS_CREATED: Final = "run_status_created"
STATUS_PROCESSING: Final = "run_status_processing"
STATUS_LOWERCASE: Final = "run_status_lowercase"
STATUS_STRANGE: Final = "run_status_strange"
FAILS_AS_REJECTED: Final = "fails_as_rejected"
FAILS_AS_CANCELLED: Final = "fails_as_cancelled"
HUMAN_REVIEW: Final = "human_review"
PAUSE_EXPIRED: Final = "pause_expired"
ROUTERS_ON: Final = "routers_on"
SESSION_MUST_EXIST: Final = "session_must_exist"
SESSION_RUNS_MISSING: Final = "session_runs_missing"
SESSION_RUNS_NEWEST_FIRST: Final = "session_runs_newest_first"
NODE_RUNS_ALWAYS: Final = "node_runs_always"
NODE_RUNS_MISSING: Final = "node_runs_missing"
JOBS_ANSWER: Final = "jobs_answer"
BODY_ID_IGNORED: Final = "body_id_ignored"
ORDER_FROM_ONE: Final = "order_from_one"
RENAMED_AGENTS: Final = "renamed_agents"
BUDGET_EXHAUSTED: Final = "budget_exhausted"
RUN_402: Final = "run_402"
THROTTLED_MINUTE: Final = "throttled_minute"
ERRORS_EMPTY: Final = "errors_empty"
PROBLEM_404: Final = "problem_404"

TRAITS: Final[dict[str, str]] = {
    FLAT_PAGES: "pages are flat: content, totalElements, totalPages, number (documented)",
    STEPS_INLINE: "a workflow has its steps, and neither stepCount nor times (documented)",
    STEPS_STORED: "creating a workflow stores the steps of its body (documented)",
    SHORT_STEPS: "a step has id, stepOrder, agentId and action only (documented)",
    CURRENT_STEP_ORDER: "a run has currentStepOrder, null at its end, and no lastStepOrder (documented)",
    DURATION_NULL: "durationMs of a run in flight is null (documented)",
    UPDATED_MOVES: "updatedAt of a run is its last change of status, durationMs its run time (documented)",
    ZULU_TIMES: "times are UTC with Z and whole seconds (documented)",
    RUN_200: "run and resume answer 200 instead of 202 (documented: no status is given)",
    SHORT_IDS: "ids are like wf_1a2b3c4d, step_..., run_..., job_... (documented)",
    RAGGED_TIMES: "times without a zone have from zero to nine fraction digits, each another number",
    CLOCK_AHEAD: "times without a zone are of a clock two hours ahead",
    ROWS_AT_ONCE: "a run has its row when it is accepted, as QUEUED, not when the queue takes it",
    ROWS_SHUFFLED: "the rows of one tick of the queue appear in any order, over half of the tick",
    QUEUE_STALLS: "every third tick of the queue, by chance, takes nothing: rows are later still",
    REAL_QUEUE: "the queue takes 5 jobs every 30 seconds, whatever the configuration says",
    ROWS_SHIFT: "runs of somebody else appear before each page but the first: later rows move on",
    STATUS_CREATED: "a run reports CREATED, then PENDING, in the first half of its first step",
    STATUS_PROCESSING: "a run that runs reports PROCESSING, and APPROVED once it was resumed",
    STATUS_LOWERCASE: "the status of a run is written in lower case",
    STATUS_STRANGE: "a run that runs reports REHEATING, a word that no page names",
    FAILS_AS_REJECTED: "a failed run reports REJECTED",
    FAILS_AS_CANCELLED: "a failed run reports CANCELLED",
    HUMAN_REVIEW: "a run that waits for a person reports AWAITING_HUMAN_REVIEW",
    PAUSE_EXPIRED: "a run that was paused for too long reports EXPIRED instead of CANCELLED",
    ROUTERS_ON: "a ROUTER step that asks a person pauses its run as AWAITING_ROUTE_SELECTION",
    SESSION_MUST_EXIST: "run refuses a sessionId that it has not given out itself with 404",
    SESSION_RUNS_MISSING: "the runs of a session answer 404",
    SESSION_RUNS_NEWEST_FIRST: "the runs of a session are listed newest first",
    NODE_RUNS_ALWAYS: "node runs are there for workflows without edges too",
    NODE_RUNS_MISSING: "node runs answer 404",
    JOBS_ANSWER: "/api/jobs/{jobId} answers for workflow jobs, with COMPLETED for a run that is only paused",
    BODY_ID_IGNORED: "an id in the body of create and add step is ignored",
    ORDER_FROM_ONE: "add step refuses a stepOrder under 1 with 400",
    RENAMED_AGENTS: "the agents of the vendor's examples do not exist",
    BUDGET_EXHAUSTED: "the budget is used up: every run fails at its first step",
    RUN_402: "run answers 402: the budget is used up",
    THROTTLED_MINUTE: "a 429 says Retry-After: 60",
    ERRORS_EMPTY: "errors have no body",
    PROBLEM_404: "a 404 has a body of problem+json",
}
"""Every trait and what it changes, in one sentence."""

FORMS: Final[dict[str, frozenset[str]]] = {
    "real": frozenset(),
    "documented": frozenset(
        {
            FLAT_PAGES,
            STEPS_INLINE,
            STEPS_STORED,
            SHORT_STEPS,
            CURRENT_STEP_ORDER,
            DURATION_NULL,
            UPDATED_MOVES,
            ZULU_TIMES,
            RUN_200,
            SHORT_IDS,
        }
    ),
}
"""A form and the traits that it is made of."""
