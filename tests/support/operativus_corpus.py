"""Every shape of an answer of Operativus, in the documented form and in the form of the server's source."""

from __future__ import annotations

import json
from typing import Any

WORKFLOW_ID = "wf_abc123"
SESSION_ID = "550e8400-e29b-41d4-a716-446655440000"
RUN_ID = "run_7f3a9c12"
STEP_ID = "step_001"
NAME = "Daily Market Briefing"
DESCRIPTION = "Fetches stock prices and generates a daily summary report."

# -- the vendor's page -------------------------------------------------------------------------------------

WORKFLOW = {"id": WORKFLOW_ID, "name": NAME, "description": DESCRIPTION, "steps": []}
WORKFLOW_PAGE = {"content": [WORKFLOW], "totalElements": 1, "totalPages": 1, "number": 0}
STEPS = [
    {
        "id": STEP_ID,
        "stepOrder": 1,
        "agentId": "finance_agent",
        "action": "Fetch current prices for NVDA, AAPL, and MSFT.",
    },
    {
        "id": "step_002",
        "stepOrder": 2,
        "agentId": "procurator_assistant",
        "action": "Summarize the price data into a 3-paragraph executive briefing.",
    },
]
CLONE = {"id": "wf_def456", "name": f"{NAME} (Copy)", "description": DESCRIPTION, "steps": STEPS}
STARTED = {
    "jobId": "job_9d2e4c78-3a1b-4f5e-8d6c-xyz789abc012",
    "workflowId": WORKFLOW_ID,
    "sessionId": SESSION_ID,
}
RUN = {
    "id": RUN_ID,
    "workflowId": WORKFLOW_ID,
    "sessionId": SESSION_ID,
    "status": "COMPLETED",
    "currentStepOrder": None,
    "durationMs": 8450,
    "createdAt": "2026-05-06T09:00:00Z",
    "updatedAt": "2026-05-06T09:00:08Z",
}
RUN_PAGE = {"content": [RUN], "totalElements": 1, "totalPages": 1, "number": 0}
RESUMED = {"jobId": "job_5e3f2b91-4c2a-4d1b-9e7f-bcd345efg012", "runId": RUN_ID}

# -- the source of the server ------------------------------------------------------------------------------

SOURCE_WORKFLOW = {
    "id": WORKFLOW_ID,
    "name": NAME,
    "description": None,
    "stepCount": 2,
    "createdAt": "2026-05-06T09:00:00.123456",
    "updatedAt": "2026-05-06T09:00:00.123456",
}
SOURCE_STEP = {
    "id": STEP_ID,
    "workflowId": WORKFLOW_ID,
    "stepOrder": 1,
    "agentId": "finance_agent",
    "action": "CONDITION",
    "routerConfig": None,
    "onReject": "ELSE_BRANCH",
    "elseStepId": "step_002",
    "requiresConfirmation": True,
    "humanReview": {"requiresUserInput": True, "approvers": ["ann"]},
    "createdAt": "2026-05-06T09:00:00.5",
    "updatedAt": "2026-05-06T09:00:00",
}
SOURCE_RUN = {
    "id": RUN_ID,
    "workflowId": WORKFLOW_ID,
    "sessionId": SESSION_ID,
    "status": "AWAITING_ROUTE_SELECTION",
    "lastStepOrder": 2,
    "durationMs": 3100,
    "createdAt": "2026-05-06T09:00:00.5",
    "updatedAt": "2026-05-06T09:00:03.123456789",
}
_COUNTS = {"size": 20, "number": 0, "totalElements": 1, "totalPages": 1}
SOURCE_WORKFLOW_PAGE = {"content": [SOURCE_WORKFLOW], "page": _COUNTS}
SOURCE_RUN_PAGE = {"content": [SOURCE_RUN], "page": _COUNTS}
NODE_RUN = {
    "id": "00000000-0000-4000-8000-0000000000a1",
    "nodeId": STEP_ID,
    "nodeName": "Fetch prices",
    "kind": "AGENT",
    "success": True,
    "error": None,
    "paused": False,
    "pauseKind": None,
    "content": "NVDA 101.5",
    "tokenCost": 120,
    "modelId": "a-model",
    "startedAt": "2026-05-06T09:00:01.123456Z",
    "endedAt": "2026-05-06T09:00:03.623456Z",
}
FAILED_NODE_RUN = {
    **NODE_RUN,
    "id": "00000000-0000-4000-8000-0000000000a2",
    "nodeId": "step_002",
    "nodeName": "Summarise",
    "success": False,
    "error": "The model gave up",
    "content": None,
    "startedAt": "2026-05-06T09:00:04Z",
    "endedAt": "2026-05-06T09:00:05Z",
}
CHILD_NODE_RUNS = [
    {
        "parentNodeId": "step_002",
        "childRunId": f"{RUN_ID}#step_002#00000000-0000-4000-8000-0000000000b1",
        "childWorkflowId": "wf_child",
        "nodeRuns": [NODE_RUN],
    }
]
SESSION_RUN = {
    "id": "00000000-0000-4000-8000-0000000000c1",
    "agentId": "finance_agent",
    "sessionId": SESSION_ID,
    "userId": "u1",
    "orgId": "o1",
    "parentRunId": None,
    "input": "Prices of NVDA",
    "output": "NVDA 101.5",
    "status": "COMPLETED",
    "createdAt": "2026-05-06T09:00:01.1",
    "updatedAt": "2026-05-06T09:00:03.6",
    "requiredAction": None,
    "model": "a-model",
    "inputTokens": 100,
    "outputTokens": 20,
    "durationMs": 2500,
    "totalCostUsd": 0.0012,
    "errorType": None,
    "errorMessage": None,
}
FAILED_SESSION_RUN = {
    **SESSION_RUN,
    "id": "00000000-0000-4000-8000-0000000000c2",
    "agentId": "procurator_assistant",
    "input": "NVDA 101.5",
    "output": None,
    "status": "FAILED",
    "createdAt": "2026-05-06T09:00:04",
    "updatedAt": "2026-05-06T09:00:05",
    "durationMs": 1000,
    "errorType": "RATE_LIMIT",
    "errorMessage": "The model answers 429",
}
ROUTE_OPTIONS = {
    "runId": RUN_ID,
    "status": "AWAITING_ROUTE_SELECTION",
    "awaitingRouteSelection": True,
    "choiceKeys": ["buy", "sell"],
    "defaultChoice": "sell",
}
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzeW50aGV0aWMifQ.c3ludGhldGljLXNpZ25hdHVyZQ"
LOGIN = {
    "token": TOKEN,
    "type": "Bearer",
    "id": "00000000-0000-4000-8000-0000000000d1",
    "username": "ann",
    "email": "ann@example.com",
    "roles": ["ROLE_ADMIN"],
}

# -- refusals ----------------------------------------------------------------------------------------------

PROBLEM = {
    "type": "urn:problem-type:validation",
    "title": "Bad Request",
    "status": 400,
    "detail": "name must not be blank",
    "invalidParams": [{"field": "name", "message": "must not be blank"}],
}
SOURCE_PROBLEM = {**PROBLEM, "type": "urn:problem-type:invalid-request", "instance": "/api/v1/workflows"}
UNAUTHORIZED = {
    "timestamp": "2026-05-06T09:00:00.000+00:00",
    "status": 401,
    "error": "Unauthorized",
    "path": f"/api/v1/workflows/{WORKFLOW_ID}",
}
_PROBLEMS = (
    PROBLEM,
    SOURCE_PROBLEM,
    UNAUTHORIZED,
    {"type": "about:blank", "title": "Too Many Requests", "status": 429, "detail": "Rate limit exceeded"},
    {"title": "Resource Already Exists", "status": 409, "instance": "/api/v1/workflows"},
    {"title": "Payload Too Large", "status": 413, "maxBytes": 1048576, "hint": "Send less"},
    {"title": "Method Not Allowed", "status": 405, "supportedMethods": ["GET", "POST"]},
    {"title": "Bad Request", "status": 400, "errors": {"stepOrder": ["must not be null", "is needed"]}},
    {
        "title": "Bad Request",
        "status": 400,
        "errors": ["name is empty", {"field": "x", "defaultMessage": "y"}],
    },
)


def _texts(*shapes: Any) -> tuple[str, ...]:
    return tuple(json.dumps(shape) for shape in shapes)


SHAPES = {
    "workflow": _texts(WORKFLOW, SOURCE_WORKFLOW, CLONE),
    "workflows": _texts(WORKFLOW_PAGE, SOURCE_WORKFLOW_PAGE, [WORKFLOW]),
    "steps": _texts(STEPS, [SOURCE_STEP], []),
    "step": _texts(STEPS[0], SOURCE_STEP),
    "started": _texts(STARTED),
    "resumed": _texts(RESUMED),
    "runs": _texts(RUN_PAGE, SOURCE_RUN_PAGE, {"content": [], "page": {**_COUNTS, "totalElements": 0}}),
    "node runs": _texts([NODE_RUN, FAILED_NODE_RUN], CHILD_NODE_RUNS, []),
    "session runs": _texts([SESSION_RUN, FAILED_SESSION_RUN], []),
    "route options": _texts(
        ROUTE_OPTIONS, {**ROUTE_OPTIONS, "awaitingRouteSelection": False, "choiceKeys": []}
    ),
    "token": _texts(LOGIN),
}
"""What each answer looks like when it means yes, as JSON text."""

REFUSALS = _texts(*_PROBLEMS)
"""What it looks like when it means no."""
