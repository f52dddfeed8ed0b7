"""A listener whose library is not installed says which extra brings it."""

from __future__ import annotations

import importlib
import sys

import pytest

from opus_async.errors import ConfigurationError


@pytest.mark.parametrize(
    ("module", "library", "extra"),
    [
        ("prometheus", "prometheus_client", "opus-async[prometheus]"),
        ("opentelemetry", "opentelemetry", "opus-async[opentelemetry]"),
    ],
)
def test_missing_library_is_told_with_its_extra(monkeypatch, module, library, extra):
    name = f"opus_async.contrib.{module}"
    for other in [each for each in sys.modules if each == name or each.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, other)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigurationError) as caught:
        importlib.import_module(name)
    assert extra in str(caught.value)
