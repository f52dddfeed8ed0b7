"""Traits: the named ways in which a real server was seen to differ from the newest documentation.

The simulator without traits answers as the newest vendor pages say; a trait is one departure from that. This
module is the list of names; the behaviour is where the answer is made.
"""

from __future__ import annotations

from typing import Final

CALLBACK_REQUIRED: Final = "callback_required"
LAX_CONTENT_TYPE: Final = "lax_content_type"
NUMERIC_IDS: Final = "numeric_ids"
HUGE_IDS: Final = "huge_ids"
SPACED_STATUS: Final = "spaced_status"
STATUS_LOWERCASE: Final = "status_lowercase"
STATUS_PADDED: Final = "status_padded"
STATUS_UNDER_STATE: Final = "status_under_state"
STATUS_STRANGE: Final = "status_strange"
PARKED_LOOKS_RUNNING: Final = "parked_looks_running"
ENDS_SUCCEEDED: Final = "ends_succeeded"
FAILS_AS_TIMED_OUT: Final = "fails_as_timed_out"
FAILS_AS_STOPPED: Final = "fails_as_stopped"
FAILS_AS_CANCELED: Final = "fails_as_canceled"
FAILS_AS_ERROR: Final = "fails_as_error"
EXECUTE_200: Final = "execute_200"
EXECUTE_ECHO: Final = "execute_echo"
EXECUTE_INNER_ERROR: Final = "execute_inner_error"
EXECUTE_ERROR_OBJECT: Final = "execute_error_object"
EXECUTE_REPEAT_REFUSED: Final = "execute_repeat_refused"
QUEUED_LOOKS_UNSTARTED: Final = "queued_looks_unstarted"
RESULTS_BARE_LIST: Final = "results_bare_list"
RESULTS_OLD: Final = "results_old"
RESULTS_NESTED: Final = "results_nested"
RESULTS_LATE: Final = "results_late"
RESULTS_FAIL_ONCE: Final = "results_fail_once"
RESULTS_SNAKE_NAMES: Final = "results_snake_names"
RESULTS_NULL: Final = "results_null"
RESULTS_JSON_TEXT: Final = "results_json_text"
AUDIT_TRAIL: Final = "audit_trail"
AUDIT_NULL: Final = "audit_null"
AUDIT_MISSING: Final = "audit_missing"
AUDIT_ALL_REMAINING: Final = "audit_all_remaining"
AUDIT_NODES_LIST: Final = "audit_nodes_list"
AUDIT_NODE_OBJECTS: Final = "audit_node_objects"
AUDIT_RUNNING_NULL: Final = "audit_running_null"
AUDIT_SECONDS: Final = "audit_seconds"
AUDIT_LOWERCASE: Final = "audit_lowercase"
AUDIT_V2_VALUES: Final = "audit_v2_values"
AUDIT_CAMEL: Final = "audit_camel"
AUDIT_HTML: Final = "audit_html"
AUDIT_BASE64: Final = "audit_base64"
UNKNOWN_FIELDS_REFUSED: Final = "unknown_fields_refused"
THROTTLE_METADATA: Final = "throttle_metadata"
THROTTLE_HEADER: Final = "throttle_header"
THROTTLE_DATE: Final = "throttle_date"
THROTTLE_BARE: Final = "throttle_bare"
THROTTLE_GENERATION: Final = "throttle_generation"
ERRORS_AS_OBJECTS: Final = "errors_as_objects"
ERRORS_BARE: Final = "errors_bare"
BROWSER_ONLY: Final = "browser_only"
PERMISSION_DENIED: Final = "permission_denied"
QUOTA_EXHAUSTED: Final = "quota_exhausted"
HTML_GATEWAY: Final = "html_gateway"
PRESIGN_NEEDS_WORKFLOW: Final = "presign_needs_workflow"
SCHEMA_GRAPH: Final = "schema_graph"
SCHEMA_CAMEL: Final = "schema_camel"
SCHEMA_OUTPUT_SIDE: Final = "schema_output_side"
SCHEMA_NODES_LIST: Final = "schema_nodes_list"
SCHEMA_WRAPPED_DATA: Final = "schema_wrapped_data"
SCHEMA_WRAPPED_WORKFLOW: Final = "schema_wrapped_workflow"
SCHEMA_RETIRED: Final = "schema_retired"
SEARCH_REPEATED_ONLY: Final = "search_repeated_only"
SEARCH_JOINED_ONLY: Final = "search_joined_only"
DOWNLOAD_NEEDS_WORKSPACE: Final = "download_needs_workspace"
DOWNLOAD_REFUSES_WORKSPACE: Final = "download_refuses_workspace"
NASTY_FILE_NAMES: Final = "nasty_file_names"

TRAITS: Final[dict[str, str]] = {
    CALLBACK_REQUIRED: "an execute of the jobs API without a callbackUrl is refused with 400",
    LAX_CONTENT_TYPE: "storage ignores a Content-Type that was not signed, instead of answering 403",
    NUMERIC_IDS: "jobExecutionId and caseId are JSON numbers in answers",
    HUGE_IDS: "jobExecutionId and caseId are JSON integers beyond 2^53",
    SPACED_STATUS: "a running job is `IN PROGRESS`, with a space, as the older pages write it",
    STATUS_LOWERCASE: "the status is written in lower case",
    STATUS_PADDED: "the status is written in words with a space at the end: `In Progress `",
    STATUS_UNDER_STATE: "the status stands under the key `state`",
    STATUS_STRANGE: "a queued job reports BRAND_NEW, a word that no page names",
    PARKED_LOOKS_RUNNING: "a parked job reports IN_PROGRESS; only the audit shows a sleeping node",
    ENDS_SUCCEEDED: "a completed job reports SUCCEEDED",
    FAILS_AS_TIMED_OUT: "a failed job reports `timed out`",
    FAILS_AS_STOPPED: "a failed job reports `stopped`",
    FAILS_AS_CANCELED: "a failed job reports CANCELED, with one L",
    FAILS_AS_ERROR: "a failed job reports `error`",
    EXECUTE_200: 'execute answers HTTP 200 {"statusCode": 200, "message": "Job Started"}',
    EXECUTE_ECHO: "execute echoes jobPayloadSchemaInstance as bare values, as the older pages show",
    EXECUTE_INNER_ERROR: "the first execute of a job answers 200 with an inner 500 and starts nothing",
    EXECUTE_ERROR_OBJECT: "the first execute of a job answers 200 with an `error` object and starts nothing",
    EXECUTE_REPEAT_REFUSED: "a second execute of one job is answered with 409",
    QUEUED_LOOKS_UNSTARTED: "while it is queued, an accepted job answers exactly like a shell that never ran",
    RESULTS_BARE_LIST: "results are a list of bare values",
    RESULTS_OLD: "results of the jobs API have the shape of the older pages: summary, outputFiles, data",
    RESULTS_NESTED: "results stand in jobResultsPayloadSchema inside `results`",
    RESULTS_LATE: "results of a completed job answer 202 twice before they answer 200",
    RESULTS_FAIL_ONCE: "the first question for the results of a job answers 500",
    RESULTS_SNAKE_NAMES: "results carry display_name instead of displayName",
    RESULTS_NULL: "the results of a completed job are null",
    RESULTS_JSON_TEXT: "objects in results are text that holds JSON, every second one inside backticks",
    AUDIT_TRAIL: "the audit of the jobs API is an auditTrail of actions, as the older pages show",
    AUDIT_NULL: "`audit` and the lists of the audit are null",
    AUDIT_MISSING: "the audit answers 404",
    AUDIT_ALL_REMAINING: "the audit of the jobs API lists every node of a finished run as remaining",
    AUDIT_NODES_LIST: "the data of nodes are a list of objects with a name",
    AUDIT_NODE_OBJECTS: "the lists of nodes hold objects with name, node_name, label or id",
    AUDIT_RUNNING_NULL: "running_node is null when nothing runs",
    AUDIT_SECONDS: "the times of nodes are seconds instead of milliseconds",
    AUDIT_LOWERCASE: "the status of a node is written in lower case",
    AUDIT_V2_VALUES: "values of nodes are objects with variable_name, display_name, value and type",
    AUDIT_CAMEL: "the audit of the jobs API has the camelCase keys of the cases API",
    AUDIT_HTML: "the audit answers 502 with an HTML page",
    AUDIT_BASE64: "the values of the output node are JSON as base64 text",
    UNKNOWN_FIELDS_REFUSED: "a request field the documentation does not name is refused with 400",
    THROTTLE_METADATA: "a 429 holds nothing but metadata.retryAfterSeconds",
    THROTTLE_HEADER: "a 429 gives its wait as Retry-After in seconds",
    THROTTLE_DATE: "a 429 gives its wait as Retry-After with an HTTP date",
    THROTTLE_BARE: "a 429 does not say how long to wait",
    THROTTLE_GENERATION: "a 429 has the form of the generation limit: scope, limit, active",
    ERRORS_AS_OBJECTS: "the message of an error is an object",
    ERRORS_BARE: 'an error is {"error": "..."}, without an envelope',
    BROWSER_ONLY: "every call answers 401: No auth cookie provided",
    PERMISSION_DENIED: "workflow details answer 403: the permission Workflow: Full is missing",
    QUOTA_EXHAUSTED: "initiate and execute answer 402, the quota is used up: nobody has seen it yet",
    HTML_GATEWAY: "every call answers 200 with the HTML page of a log-in",
    PRESIGN_NEEDS_WORKFLOW: "a presign call with neither workflowId nor workspaceId is refused with 400",
    SCHEMA_GRAPH: "workflow details are the V2 graph, in snake_case",
    SCHEMA_CAMEL: "workflow details are the graph in a mixture of camelCase and snake_case",
    SCHEMA_OUTPUT_SIDE: "workflow details are a graph with the inputs in the output schema of its input node",
    SCHEMA_NODES_LIST: "workflow details are a graph whose nodes are a list of objects with id",
    SCHEMA_WRAPPED_DATA: "workflow details stand inside `data`",
    SCHEMA_WRAPPED_WORKFLOW: "workflow details stand inside `workflow`",
    SCHEMA_RETIRED: "workflow details answer 500: V1 workflow details are no longer supported",
    SEARCH_REPEATED_ONLY: "a search refuses a list of statuses that is joined by commas",
    SEARCH_JOINED_ONLY: "a search looks at the last status only when the parameter is repeated",
    DOWNLOAD_NEEDS_WORKSPACE: "a download without a workspaceId is refused with 400",
    DOWNLOAD_REFUSES_WORKSPACE: "a download with a workspaceId is refused with 400",
    NASTY_FILE_NAMES: "generated files have names with spaces, letters beyond ASCII and encoded slashes",
}
"""Every trait and what it changes, in one sentence."""
