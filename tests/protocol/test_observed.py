"""The calls that the vendor does not document: both forms of asking, and any answer."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opus_async.errors import InvalidInputs, OpusError, ProtocolError, ServerError, ValidationFailed
from opus_async.opus.protocol.undocumented import PresignedDownload, checked_file_url, download, read_download
from opus_async.opus.protocol.v0 import V0
from opus_async.opus.protocol.v1 import V1
from opus_async.wire.messages import ApiResponse

FILE = "https://files.opus.com/media/private/uploaded/media_0002.pdf"
PLACE = "https://example-bucket.s3.eu-central-1.amazonaws.com/a%28b%29.pdf?X-Amz-Signature=00aa"


@pytest.mark.parametrize(
    ("workspace_id", "body"),
    [
        ("space-1", {"fileUrl": FILE, "workspaceId": "space-1"}),
        (None, {"fileUrl": FILE, "customExpiry": 3600}),
    ],
)
def test_download_request_sends_workspace_id_or_custom_expiry_beside_url(workspace_id, body):
    call = download(FILE, workspace_id=workspace_id)
    assert (call.operation, call.method, call.path) == ("download", "POST", "/job/file/download")
    assert call.body == body
    assert call.repeatable


@pytest.mark.parametrize("url", [FILE, f"  {FILE}\n", "http://127.0.0.1:8080/a b.pdf", "https://h/größe.pdf"])
def test_download_request_sends_trimmed_file_url_unchanged(url):
    assert checked_file_url(url) == url.strip()
    assert download(url, workspace_id=None).body["fileUrl"] == url.strip()


@pytest.mark.parametrize(
    "url", ["", "a.pdf", "//h/a.pdf", "ftp://h/a", "https://", "http://[x", PLACE, None, 3]
)
def test_download_request_refuses_invalid_file_url(url):
    with pytest.raises(InvalidInputs) as caught:
        download(url, workspace_id=None)
    assert "00aa" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {"presignedUrl": PLACE, "fileUrl": FILE, "contentType": "application/pdf", "contentLength": 12},
            PresignedDownload(PLACE, FILE, "application/pdf", 12),
        ),
        (
            {"presigned_url": PLACE, "file_url": FILE, "content_type": "text/csv", "content_length": "12"},
            PresignedDownload(PLACE, FILE, "text/csv", 12),
        ),
        ({"data": {"presignedUrl": PLACE, "contentLength": 0}}, PresignedDownload(PLACE, size=0)),
        ({"presignedUrl": PLACE, "contentLength": -1, "contentType": " "}, PresignedDownload(PLACE)),
        ({"presignedUrl": PLACE, "contentLength": 1.5, "fileUrl": 3}, PresignedDownload(PLACE)),
        ({"presignedUrl": PLACE, "contentLength": True}, PresignedDownload(PLACE)),
        ({"presignedUrl": PLACE, "contentLength": "٣"}, PresignedDownload(PLACE)),
    ],
)
@pytest.mark.parametrize("status", [200, 201])
def test_download_response_of_every_shape_is_read(answer, body, expected, status):
    assert read_download(answer(body, status)) == expected


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://bucket.s3.amazonaws.com/a.pdf?X-Amz-Signature=00aa", "over plain http"),
        ("HTTP://127.0.0.1:9000/a.pdf?X-Amz-Signature=00aa", "over plain http"),
        ("https://user:00aa@bucket.test/a.pdf", "a user or a password"),
        ("https://user@bucket.test/a.pdf", "a user or a password"),
        ("https://bucket.test\\@evil.test/a.pdf?00aa", "a user or a password"),
        ("https://bucket.test\\.evil.test/a.pdf?00aa", "whose host cannot be told"),
        ("https://bucket.test:99x/a.pdf?00aa", "whose host cannot be told"),
        ("https://bucket.test:99999/a.pdf?00aa", "whose host cannot be told"),
        ("https://bu%63ket.test/a.pdf?00aa", "whose host cannot be told"),
    ],
)
@pytest.mark.parametrize("read", [read_download, V0().read_presigned, V1().read_presigned])
def test_presigned_url_less_safe_than_the_api_is_refused(answer, read, url, words):
    with pytest.raises(ProtocolError, match=words) as caught:
        read(answer({"presignedUrl": url, "fileUrl": FILE}, 201))
    assert not caught.value.retryable
    assert "00aa" not in f"{caught.value} {caught.value.body}"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9000/a?X=1", "http://[::1]:9/a", "https://h.test/a", PLACE]
)
@pytest.mark.parametrize("read", [read_download, V0().read_presigned, V1().read_presigned])
def test_presigned_url_over_plain_http_is_accepted_if_api_is_plain_http(answer, read, url):
    asked = replace(answer({"presignedUrl": url, "fileUrl": FILE}), url="http://127.0.0.1:8000/job/file")
    assert url in asdict(read(asked)).values()


def test_download_response_repr_hides_signature(answer):
    assert "00aa" not in repr(read_download(answer({"presignedUrl": PLACE})))


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"presignedUrl": "no url"}, 200, ProtocolError),
        ([], 200, ProtocolError),
        (b"<html>", 200, ProtocolError),
        ({"statusCode": 400, "message": ["a", "b"]}, 200, ValidationFailed),
        ({"success": False}, 201, ValidationFailed),
        ({"message": "x"}, 400, ValidationFailed),
        ({"message": "x"}, 502, ServerError),
    ],
)
def test_download_response_that_refuses_raises_matching_error(answer, body, status, kind):
    with pytest.raises(kind):
        read_download(answer(body, status))


VALUES = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20)),
    st.sampled_from([PLACE, FILE, "http://[", "12", "9" * 400]),
)
FIELDS = st.sampled_from(
    [
        "presignedUrl",
        "presigned_url",
        "fileUrl",
        "contentType",
        "contentLength",
        "statusCode",
        "success",
        "data",
    ]
)


@given(
    st.dictionaries(FIELDS, st.one_of(VALUES, st.dictionaries(FIELDS, VALUES))),
    st.sampled_from([200, 201, 400]),
)
def test_download_response_of_any_json_is_read_or_an_opus_error(body, status):
    try:
        place = read_download(ApiResponse(status=status, body=json.dumps(body).encode()))
    except OpusError:
        return
    assert place.get_url in {PLACE, FILE}
    assert place.size is None or place.size >= 0
