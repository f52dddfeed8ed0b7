"""What can be seen of a setting before anything is sent."""

from __future__ import annotations

import pytest

from opus_async import OpusClient
from opus_async.errors import ConfigurationError
from opus_async.opus.settings import resolve_base_url


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("${HOST}", "placeholder"),
        ("https://${HOST}", "placeholder"),
        ("https://{host}/", "placeholder"),
        ("https://<host>", "placeholder"),
        ("https://%HOST%", "placeholder"),
        ("https://a b", "space"),
        ("https://a.example\tx", "space"),
        ("https://a.example\x1b", "control"),
        ("https://a.example\u202e", "control"),
        ("https:\\\\a.example", "backslash"),
        ("https://a.example:99999", "port"),
        ("https://a.example:0", "port"),
        ("https://a.example:", "port"),
        ("https://a.example:secret", "port"),
        ("https://::1", "port"),
        ("https://", "names no host"),
        ("http:/x", "two slashes"),
        ("https:///x", "names no host"),
        ("operator.opus.com", "https://"),
        ("ftp://a.example", "https://"),
        ("https://u:secret@a.example", "user"),
        ("https://@a.example", "user"),
        ("https://a.example?", "query"),
        ("https://bücher.example", "ASCII"),
        ("https://[::1", "brackets"),
        ("https://[x]", "brackets|names no host"),
        ("https://a..b", "names no host"),
        ("https://-a", "names no host"),
        ("https://999.1.1.1", "names no host"),
        ("https://*.example.com", "names no host"),
    ],
)
def test_base_url_that_cannot_work_is_refused_with_reason(url, problem):
    with pytest.raises(ConfigurationError, match=problem) as refused:
        resolve_base_url(url, {})
    assert "secret" not in str(refused.value)
    assert "like https://operator.opus.com" in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1]:8000",
        "http://127.0.0.1:8000",
        "https://operator.opus.com",
        "https://my_host:8443/base",
        "HTTPS://Host.example.",
        "https://xn--bcher-kva.example",
    ],
)
def test_base_url_that_may_work_is_left_unchanged(url):
    assert resolve_base_url(f" {url}/ ", {}) == url


@pytest.mark.parametrize(
    ("url", "api", "page"),
    [
        (None, None, "https://app.opus.com/app/job/{job_id}"),
        ("https://operator.opus.com/", "v0", "https://app.opus.com/app/job/{job_id}"),
        ("https://operator.opus.com", "v1", None),
        ("https://operator.opus.example", "v0", None),
        ("http://127.0.0.1:1", "v0", None),
    ],
)
async def test_job_page_is_known_for_jobs_at_host_of_vendor_alone(monkeypatch, url, api, page):
    monkeypatch.delenv("OPUS_BASE_URL", raising=False)
    monkeypatch.delenv("OPUS_API", raising=False)
    async with OpusClient("_" + "0a" * 48, base_url=url, api=api) as client:
        assert client.lifecycle("B9uGJfZ3CFwOdMKH").platform.job_page == page
