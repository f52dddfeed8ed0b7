"""The two platforms of plain Python, as a parameter of tests that hold for any platform."""

from __future__ import annotations

import pytest
from fake_platform import FakePlatform
from second_platform import SecondPlatform


@pytest.fixture(params=[FakePlatform, SecondPlatform], ids=["first", "second"])
def platform_class(request: pytest.FixtureRequest) -> type[FakePlatform]:
    """Makes a platform: one that answers at once, or one that is late, paged and needs a token."""
    return request.param
