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


@pytest.mark.parametrize("place", [1, 999, 1_000, 1_001, 3_999, 4_000, 4_001, 9_499])
@pytest.mark.parametrize("count", [2_500, 4_000, 4_001, 9_500])
def test_key_proposal_compares_all_rows(place, count):
    rows = [{"Code": f"c{number}", "Id": number, "Name": "n"} for number in range(count)]
    place = min(place, count - 1)
    rows[place] = {**rows[place], "Id": 0}
    assert proposed(*rows) == "Code"
    assert proposed(*rows, {"Code": "c7"}) is None


def test_key_proposal_of_many_rows_keeps_names_as_candidates():
    rows = [{"A": number, "B": number, "C": -number, "Order No": number} for number in range(1_500)]
    assert proposed(*rows) == "Order No"
    assert proposed(*rows, {"A": -1, "B": 0, "C": 0, "Order No": 0}) == "A"


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
