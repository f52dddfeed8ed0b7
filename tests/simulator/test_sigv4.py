"""Signature Version 4, with botocore as the second opinion."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given
from hypothesis import strategies as st

from opus_async.simulator.sigv4 import Credentials, PresignedRequest, SignatureError, presign, verify

OURS = Credentials("SIMACCESSKEY", "synthetic/secret+key", session_token="to+ken/with==signs")
HOST = "127.0.0.1:9000"


def boto_url(path="/bucket/media_1.pdf", expires=600, headers=None, token=OURS.session_token):
    request = AWSRequest(method="PUT", url=f"http://{HOST}{quote(path)}", headers=headers or {})
    credentials = BotoCredentials(OURS.access_key, OURS.secret_key, token)
    S3SigV4QueryAuth(credentials, "s3", OURS.region, expires=expires).add_auth(request)
    return request.url


def signed_at(url):
    from datetime import UTC, datetime

    stamp = dict(parse_qsl(urlsplit(url).query))["X-Amz-Date"]
    return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()


def as_request(url, method="PUT", **headers):
    parts = urlsplit(url)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return PresignedRequest(method, parts.path, parts.query, {"host": HOST, **named})


def refusal(request, now):
    with pytest.raises(SignatureError) as caught:
        verify(OURS, request, now)
    return caught.value.status, caught.value.code


@pytest.mark.parametrize(
    "path", ["/bucket/media_1.pdf", "/bucket/a b(c)~d.txt", "/bucket/ünïcode/+&=?.txt", "/b//double"]
)
def test_sigv4_accepts_url_signed_by_botocore(path):
    url = boto_url(path)
    assert verify(OURS, as_request(url), signed_at(url)) == {"host"}


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30))
def test_sigv4_accepts_any_object_key_signed_by_botocore(name):
    url = boto_url("/bucket/" + name.replace(".", "_"))
    assert verify(OURS, as_request(url), signed_at(url)) == {"host"}


def test_sigv4_presign_uses_the_same_query_parameters_as_botocore():
    theirs = boto_url()
    now = signed_at(theirs)
    ours = presign(OURS, method="PUT", host=HOST, path="/bucket/media_1.pdf", signed_at=now, expires=600)
    wanted = dict(parse_qsl(ours))
    bare = {name: value for name, value in wanted.items() if name not in ("x-id", "X-Amz-Content-Sha256")}
    assert set(bare) == set(dict(parse_qsl(urlsplit(theirs).query)))
    request = as_request(f"http://{HOST}/bucket/media_1.pdf?{ours}")
    assert verify(OURS, request, now) == {"host"}


def test_sigv4_refuses_changed_or_missing_signed_content_type():
    url = boto_url(headers={"Content-Type": "application/pdf"})
    now = signed_at(url)
    assert verify(OURS, as_request(url, content_type="application/pdf"), now) == {"host", "content-type"}
    assert refusal(as_request(url, content_type="text/plain"), now) == (403, "SignatureDoesNotMatch")
    assert refusal(as_request(url), now) == (403, "SignatureDoesNotMatch")


def test_sigv4_accepts_reordered_query():
    parts = urlsplit(boto_url())
    turned = "&".join(reversed(parts.query.split("&")))
    url = f"http://{HOST}{parts.path}?{turned}"
    assert verify(OURS, as_request(url), signed_at(url))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"X-Amz-Signature": "0" * 64}, (403, "SignatureDoesNotMatch")),
        ({"X-Amz-Expires": "601"}, (403, "SignatureDoesNotMatch")),
        ({"extra": "1"}, (403, "SignatureDoesNotMatch")),
        ({"X-Amz-Expires": "604801"}, (400, "AuthorizationQueryParametersError")),
        ({"X-Amz-Expires": "-1"}, (400, "AuthorizationQueryParametersError")),
        ({"X-Amz-Expires": None}, (400, "AuthorizationQueryParametersError")),
        ({"X-Amz-Algorithm": "AWS4-HMAC-MD5"}, (400, "AuthorizationQueryParametersError")),
        ({"X-Amz-Date": "yesterday"}, (400, "AuthorizationQueryParametersError")),
        ({"X-Amz-SignedHeaders": "content-type"}, (400, "AuthorizationQueryParametersError")),
        ({"X-Amz-Credential": "SOMEONE/20260101/eu-central-1/s3/aws4_request"}, (403, "InvalidAccessKeyId")),
        ({"X-Amz-Security-Token": "another"}, (400, "InvalidToken")),
        ({"X-Amz-Signature": None, "X-Amz-Algorithm": None}, (403, "AccessDenied")),
    ],
)
def test_sigv4_refuses_altered_query(change, expected):
    url = boto_url()
    parts = urlsplit(url)
    query = {**dict(parse_qsl(parts.query)), **change}
    altered = urlencode({name: value for name, value in query.items() if value is not None}, quote_via=quote)
    assert refusal(as_request(f"http://{HOST}{parts.path}?{altered}"), signed_at(url)) == expected


def test_sigv4_refuses_another_method_host_or_path():
    url = boto_url()
    now = signed_at(url)
    assert refusal(as_request(url, method="POST"), now)[1] == "SignatureDoesNotMatch"
    assert refusal(as_request(url.replace("media_1", "media_2")), now)[1] == "SignatureDoesNotMatch"
    moved = as_request(url)
    elsewhere = PresignedRequest("PUT", moved.path, moved.query, {"host": "127.0.0.1:1"})
    assert refusal(elsewhere, now)[1] == "SignatureDoesNotMatch"


def test_sigv4_expiry_counts_from_the_time_of_signing():
    url = boto_url(expires=60)
    now = signed_at(url)
    assert verify(OURS, as_request(url), now + 60)
    assert refusal(as_request(url), now + 61) == (403, "AccessDenied")
    assert refusal(as_request(url), now - 3600) == (403, "AccessDenied")


def test_sigv4_refuses_unsigned_x_amz_header():
    url = boto_url()
    assert refusal(as_request(url, x_amz_acl="public-read"), signed_at(url)) == (403, "AccessDenied")


def test_sigv4_credentials_repr_hides_secrets():
    assert OURS.secret_key not in repr(OURS)
    assert OURS.session_token not in repr(OURS)
