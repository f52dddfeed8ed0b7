"""Redirects of web servers that are not followed to what they lead to."""

from __future__ import annotations

import pytest

from opus_async.remote.redirects import refuse_misled

FOLLOWED = [
    ("https://a.example/1", "https://cdn.example/2"),
    ("http://a.example/1", "https://a.example/1"),
    ("http://a.example/1", "http://10.0.0.7/1"),
    ("http://127.0.0.1:1/1", "http://localhost:2/1"),
]


@pytest.mark.parametrize(("asked", "came_to"), FOLLOWED)
def test_redirect_is_followed(asked, came_to):
    refuse_misled(asked, came_to)


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "[::1]", "169.254.169.254", "[fe80::1]"])
def test_redirect_to_what_only_this_machine_can_reach_is_refused(host):
    with pytest.raises(ValueError, match="an address that only this machine can reach"):
        refuse_misled("https://a.example/1", f"https://{host}/latest/meta-data/")


def test_redirect_from_https_to_http_is_refused():
    with pytest.raises(ValueError, match="from https to http"):
        refuse_misled("https://a.example/1", "http://a.example/1")
