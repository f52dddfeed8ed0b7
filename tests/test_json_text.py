"""Text that holds a JSON object or array is offered parsed; everything else comes back as it was."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from opus_async.json_text import parsed
from opus_async.models import JobResults, JobStatus, OutputValue
from opus_async.outcome import JobOutcome

UNHURRIED = settings(deadline=None)  # a loaded machine is no failure
OBJECT = {"verdict": "PASS", "score": 0.5, "lines": [1, None, True, {"ü": "\\n"}]}
TEXT = json.dumps(OBJECT, indent=1)

texts = st.text(st.characters(codec="utf-8"), max_size=12)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
)
containers = st.lists(values, max_size=3) | st.dictionaries(texts, values, max_size=3)
prose = texts.filter(lambda text: "`" not in text)


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f" \n\t{TEXT}\r\n ",
        f"```json\n{TEXT}\n```",
        f"```\n{TEXT}\n```",
        f"```JSON\r\n{TEXT}\r\n```\r\n",
        f"```json {TEXT} ```",
        f"```{TEXT}```",
        f"````json\n{TEXT}\n````",
        f"Here it is:\n\n```json\n{TEXT}\n```\n\nAnything else?",
        f"[1] says:\n```\n{TEXT}\n```",
    ],
)
def test_json_text_parses_object_bare_or_in_one_code_block(text):
    assert parsed(text) == OBJECT


def test_json_text_keeps_code_fences_inside_strings():
    held = {"readme": "```json\n{}\n```"}
    assert parsed(json.dumps(held)) == held
    assert parsed(f"So:\n```json\n{json.dumps(held)}\n```") == held


@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            " ",
            "42",
            "0042",
            "-1.5",
            "true",
            "false",
            "null",
            '"x"',
            "PASS",
            "{",
            "}",
            "[",
            "]",
            "[}",
            "{]",
        ),
        *("[1] [2]", "{} {}", "see [1]", "[1] is a source", "{name}", "[x]", "{'a': 1}", "[1,]", '{"a": 1,}'),
        *("[01]", "[1", '["a', "[/* no */]", '["a\nb"]', "[NaN]", "[Infinity]", "[-Infinity]", "[+1]"),
        *("```json\n42\n```", '```json\n"x"\n```', "```\n```", "```", "``````", "```json", "```json\n[1]"),
        *(
            "```json\n[1]\n```\nand\n```json\n[2]\n```",
            "```python\n[1]\n```",
            "```json5\n[1]\n```",
            "``[1]``",
        ),
        *('["\\ud800"]', '["\ud800"]', "\x00", "\ufeff[1]"),
        *(None, True, 0, 1.5, b"[1]", ["[1]"], {"a": "[1]"}, ("[1]",)),
    ],
)
def test_json_text_returns_other_values_unchanged(value):
    assert parsed(value) is value


@pytest.mark.parametrize(
    "number",
    ["1e309", "-1e309", "1E+400", "1e0000999", "9" * 250 + "e99", "9" * 309 + ".0", "9" * 400 + "e1"],
)
def test_json_text_stays_text_if_number_overflows_double(number):
    text = f'{{"a": [{number}]}}'
    assert parsed(text) is text


def test_json_text_parses_any_spelling_of_number_within_double_range():
    written = ["1e308", "1e-999", "1" + "0" * 300 + "e-300", "0." + "0" * 400 + "1", "9" * 199 + "e99"]
    assert parsed(f"[{','.join(written)}]") == [float(number) for number in written]


def test_json_text_keeps_integers_exact_up_to_python_digit_limit():
    digits = "9" * sys.int_info.default_max_str_digits
    assert parsed(f"[{digits}]") == [int(digits)]
    assert parsed(f"[{digits}9]") == f"[{digits}9]"


def test_json_text_takes_last_value_of_duplicate_key():
    assert parsed('{"a": 1, "b": 2, "a": 3}') == {"a": 3, "b": 2}


@pytest.mark.parametrize("deeper", [("[", "]"), ('{"a":', "}")])
def test_json_text_parses_200_nesting_levels_and_keeps_deeper_text(deeper):
    left, right = deeper
    core = "1" if left != "[" else ""
    assert parsed(left * 200 + core + right * 200) != left * 200 + core + right * 200
    for levels in (202, 2_000, 1_000_000):
        text = left * levels + core + right * levels
        assert parsed(text) is text


@pytest.mark.parametrize(
    "piece",
    [
        "[",
        "[1,",
        '{"a":',
        "`",
        "```",
        "```json",
        "\n```\n[]",
        "9",
        "1e999,",
        '["',
        "\\",
        "{}",
        " ",
        "e99",
        "0.",
    ],
)
@pytest.mark.parametrize("around", [("", ""), ("[", "]"), ('["', '"]'), ("```json\n[", "]\n```")])
@pytest.mark.timeout(20)  # what takes more than linear time takes hours
def test_json_text_parses_megabytes_in_linear_time(piece, around):
    before, after = around
    text = before + piece * (2_000_000 // len(piece)) + after
    assert parsed(text) is text or isinstance(parsed(text), dict | list)


@UNHURRIED
@given(containers, st.booleans(), st.sampled_from([None, 0, 2]))
def test_json_text_round_trips_objects_and_arrays(value, ascii_only, indent):
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert parsed(text) == value
    assert parsed(f"  {text}\n") == value


@UNHURRIED
@given(containers, prose, prose, st.sampled_from(["", "json", "Json"]))
def test_json_text_round_trips_code_block_with_prose_around(value, before, after, tag):
    text = f"{before}\n```{tag}\n{json.dumps(value)}\n```\n{after}"
    assert parsed(text) == value


@UNHURRIED
@given(containers, containers)
def test_json_text_with_two_code_blocks_stays_text(first, second):
    text = "\n".join(f"```json\n{json.dumps(value)}\n```" for value in (first, second))
    assert parsed(text) is text


@UNHURRIED
@given(scalars)
def test_json_text_of_scalar_stays_text(value):
    text = json.dumps(value)
    assert parsed(text) is text


@UNHURRIED
@given(st.text() | st.text('[]{}`":,0123456789.eE+-njsoantrufl \n\\\ud800', max_size=40))
@example("```" * 3)
@example("[1e999]")
def test_json_text_never_raises_and_result_is_serializable(text):
    value = parsed(text)
    if value is not text:
        assert isinstance(value, dict | list)
        assert json.loads(json.dumps(value, allow_nan=False)) == value


def test_json_text_returns_job_status_unchanged():
    status = JobStatus("UNKNOWN", raw="[1]")
    assert parsed(status) is status


def test_parsed_outputs_stand_beside_raw_outputs():
    sent = (
        OutputValue("o1", "Verdict", "PASS", "str"),
        OutputValue("o2", "Details", '{"score": 92}', "json_string"),
        OutputValue("o3", "Details", "```json\n[1]\n```", "str"),
        OutputValue("o4", "Id", "0042", "str"),
    )
    results = JobResults(values=sent)
    assert [output.parsed for output in sent] == ["PASS", {"score": 92}, [1], "0042"]
    expected = {"Verdict": "PASS", "Details": {"score": 92}, "Details (o3)": [1], "Id": "0042"}
    assert results.parsed_outputs == expected
    assert results.outputs["Details"] == '{"score": 92}'
    outcome = JobOutcome(job_id="1", status=JobStatus.COMPLETED, outputs=results.outputs)
    assert outcome.parsed_outputs == expected
    assert outcome.outputs["Details"] == '{"score": 92}'
    assert JobOutcome(job_id="1", status=JobStatus.FAILED).parsed_outputs == {}


def test_parsed_output_is_new_object_on_each_access():
    output = OutputValue("o", "O", "[1]")
    output.parsed.append(2)
    assert output.parsed == [1]
