"""What ``batch validate`` prints, on terminals of all widths."""

from __future__ import annotations

from opus_async.cli.batch import validation_text
from opus_async.manifests.problem import Problem
from opus_async.manifests.validation.result import Cause


def problem(**values):
    return Problem(**{"message": "'Document': there is no file 'a.pdf'", "cause": "c", **values})


def test_validation_text_has_paragraphs_where_a_table_has_no_room():
    causes = [
        Cause("c", problem(index=4, where="line 6", fix="put it there, or correct the path"), 1200),
        Cause(
            "d", problem(message="column 'x' fills no input", fix="--map 'a very long name of it=Text'"), 1
        ),
    ]
    assert validation_text.found(causes, 40).splitlines() == [
        "error in 1,200 rows, first line 6:",
        "  'Document': there is no file 'a.pdf'",
        "  put it there, or correct the path",
        "error:",
        "  column 'x' fills no input",
        "  --map 'a very long name of it=Text'",
    ]
    assert "WHAT IS WRONG" in validation_text.found(causes, 60)
