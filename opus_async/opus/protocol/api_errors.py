"""Responses of Opus that refuse -> exceptions, with the platform's words and what to do next.

The service's envelope is ``{statusCode, message, timestamp, path}`` (vendor page "Errors"), its ``message`` a
text, a list of texts or an object; a gateway or a crash answers with an HTML page.
"""

from __future__ import annotations

from opus_async.errors import APIError
from opus_async.opus.protocol.hints import hint
from opus_async.wire.messages import ApiResponse


def error_from(answer: ApiResponse, *, status: int | None = None) -> APIError:
    """Make the exception for a response that refuses; it is not raised here.

    Args:
        answer: The response.
        status: The ``statusCode`` inside a 2xx whose body refuses; default: the response's own status.
    """
    from opus_async.opus.protocol.error_advice import advise  # noqa: PLC0415 - most responses refuse nothing
    from opus_async.wire.api_errors import api_error  # noqa: PLC0415 - most refuse nothing

    return api_error(answer, advise, hint=hint, status=status)
