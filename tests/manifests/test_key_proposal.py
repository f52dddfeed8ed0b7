"""Which column could name the rows of a manifest that gives no keys."""

from __future__ import annotations

import pytest

from opus_async.manifests.validation.duplicates import DuplicateIndex
from opus_async.manifests.validation.key_proposal import KeyProposal


def proposed(*rows):
    seen = DuplicateIndex()
    try:
        keys = KeyProposal(seen)
        for row in rows:
            keys.add(row)
        return keys.column
    finally:
        seen.close()


@pytest.mark.parametrize(
    ("rows", "column"),
    [
        ([{"Name": "a", "Invoice No": 1}, {"Name": "b", "Invoice No": 2}], "Invoice No"),
        ([{"Name": "a", "Note": 1}, {"Name": "b", "Note": 2}], "Name"),
        ([{"Id": "a", "Name": "x"}, {"Id": "a", "Name": "y"}], "Name"),
        ([{"Id": "a"}, {"Id": "a"}], None),
        ([{"Id": "a"}, {}], None),  # an empty cell names nothing
        ([{}, {"Id": "a"}], None),
        ([{"Id": 1}, {"Id": 1.0}], None),  # the same key
        ([{"Id": "a" * 61}, {"Id": "b" * 61}], None),  # a text
        ([{"Id": "a\nb"}, {"Id": "c"}], None),
        ([{"Id": [1]}, {"Id": [2]}], None),
        ([{"Id": "a"}], None),  # of one row every column says that
        ([], None),
        ([{"A": "x", "B": "y"}, {"A": "y", "B": "x"}], "A"),  # another column's values do not count
    ],
)
def test_key_proposal_is_a_column_with_another_value_in_each_row(rows, column):
    assert proposed(*rows) == column
