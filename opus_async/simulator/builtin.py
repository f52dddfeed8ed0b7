"""The workflows that every simulator serves."""

from __future__ import annotations

from typing import Final

from opus_async.simulator.workflows import FILE_TYPES, InputVariable, OutputVariable, Workflow

ALL_TYPES_ID: Final = "B9uGJfZ3CFwOdMKH"
DOCUMENT_ID: Final = "D0cumentWorkfl0w"
TEXT_ID: Final = "T3xtOnlyWorkfl0w"
POSTMAN_ID: Final = "P0stmanC0llecti0"
MODERN_ID: Final = "M0dernTypesWrkfl"
REPORT_ID: Final = "Rep0rtWithFiles1"
CLAIM_ID: Final = "c1a1c4ec-0000-4000-8000-000000000001"

FILE_OUTPUTS: Final = (
    ("SHA-256", "str", "sha256"),
    ("Size", "int", "size"),
    ("Type", "str", "type"),
    ("Lines", "int", "lines"),
    ("Pages", "int", "pages"),
)
"""Display name, type and fact of what is told about a file."""


def default_outputs(inputs: tuple[InputVariable, ...]) -> tuple[OutputVariable, ...]:
    """Return the outputs of a workflow that defines none: an echo of each input, and the facts of each file.

    The echo of `workflow_input_x` is `workflow_output_x` under the same display name; the facts of a file
    are `workflow_output_x_sha256` and so on under `<display name> SHA-256`. For a list of files each fact
    is a list.
    """
    outputs: list[OutputVariable] = []
    for variable in inputs:
        name = variable.variable_name
        echo = "workflow_output_" + name.removeprefix("workflow_input_")
        outputs.append(OutputVariable(echo, variable.display_name, variable.type, "echo", name))
        if not variable.holds_files:
            continue
        single = variable.kind == "file"
        outputs += [
            OutputVariable(
                f"{echo}_{fact}", f"{variable.display_name} {title}", kind if single else "array", fact, name
            )
            for title, kind, fact in FILE_OUTPUTS
        ]
    return tuple(outputs)


def _all_types() -> Workflow:
    # Variable and display names are those of the vendor's documentation.
    inputs = (
        InputVariable("workflow_input_we4tej0ly", "TextInput", "str"),
        InputVariable("workflow_input_a0hk6ujuo", "NumberInput", "float"),
        InputVariable("workflow_input_h69vx5i4a", "FileInput(Single)", "file", file_types=FILE_TYPES),
        InputVariable("workflow_input_m2z6rkzgj", "BoolInput", "bool"),
        InputVariable("workflow_input_2kbsjrx1y", "ListInput", "array"),
        InputVariable("workflow_input_bzti690ga", "ObjectInput", "object"),
        InputVariable("workflow_input_k3ayfjyh7", "DateInput", "date"),
        InputVariable(
            "workflow_input_auqgnzk8d", "FileInput(Multiple)", "array_files", file_types=FILE_TYPES
        ),
    )
    return Workflow(
        ALL_TYPES_ID, "All input types", "One input of each documented type.", inputs, default_outputs(inputs)
    )


def _document() -> Workflow:
    document, threshold, note = (
        "workflow_input_d0cument1",
        "workflow_input_thresh0ld",
        "workflow_input_n0teinput",
    )
    facts = tuple(
        OutputVariable(f"workflow_output_d0cum_{fact}", title, kind, fact, document)
        for title, kind, fact in FILE_OUTPUTS
    )
    return Workflow(
        DOCUMENT_ID,
        "Document check",
        "Reads one document and gives a verdict: PASS unless its score is below the threshold.",
        (
            InputVariable(document, "Document", "file", file_types=FILE_TYPES),
            InputVariable(threshold, "Threshold", "float", nullable=True),
            InputVariable(note, "Note", "str", nullable=True),
        ),
        (
            *facts,
            OutputVariable("workflow_output_d0cum_verdict", "Verdict", "str", "verdict", document),
        ),
    )


def _text() -> Workflow:
    text = "workflow_input_t3xtinput"
    return Workflow(
        TEXT_ID,
        "Text only",
        "Digest, length and echo of one text. No file, so it loads the API alone.",
        (InputVariable(text, "Text", "str"),),
        (
            OutputVariable("workflow_output_t3xt_sha256", "SHA-256", "str", "sha256", text),
            OutputVariable("workflow_output_t3xt_characters", "Characters", "int", "characters", text),
            OutputVariable("workflow_output_t3xt_echo", "Text", "str", "echo", text),
        ),
    )


def _postman() -> Workflow:
    inputs = (InputVariable("workflow_input_vt5u58mst", "Files", "array_files", file_types=FILE_TYPES),)
    return Workflow(
        POSTMAN_ID,
        "Postman collection",
        "The single input of the vendor's Postman collection.",
        inputs,
        default_outputs(inputs),
    )


def _modern() -> Workflow:
    inputs = (
        InputVariable("workflow_input_pr0filejs", "Profile", "json_string"),
        InputVariable("workflow_input_c0untint1", "Count", "int"),
        InputVariable(
            "workflow_input_inv0ices1", "Invoices", "array", file_types=("PDF", "TXT", "CSV"), of_files=True
        ),
        InputVariable("workflow_input_optdate01", "Due date", "date", nullable=True),
        InputVariable("workflow_input_optlist01", "Labels", "array", nullable=True),
        InputVariable("workflow_input_optfile01", "Attachment", "file", nullable=True, file_types=("PDF",)),
    )
    return Workflow(
        MODERN_ID,
        "Newer input types",
        "JSON text, integer, a list of files with a type definition, and inputs that may be left out.",
        inputs,
        default_outputs(inputs),
    )


def _report() -> Workflow:
    document, text = "workflow_input_rep0rtdoc", "workflow_input_rep0rttxt"
    return Workflow(
        REPORT_ID,
        "Report",
        "Reads one document and a text; gives a summary, a report file and a list of two more files.",
        (
            InputVariable(document, "Document", "file", file_types=FILE_TYPES),
            InputVariable(text, "Text", "str"),
        ),
        (
            OutputVariable("workflow_output_rep0rt_summary", "Summary", "str", "echo", text),
            OutputVariable("workflow_output_rep0rt_file", "Report", "file", "report_file"),
            OutputVariable("workflow_output_rep0rt_files", "Attachments", "array", "report_files"),
        ),
    )


def _claim() -> Workflow:
    form = "workflow_input_c1aimf0rm"
    facts = tuple(
        OutputVariable(f"workflow_output_c1aim_{fact}", title, kind, fact, form)
        for title, kind, fact in FILE_OUTPUTS
    )
    return Workflow(
        CLAIM_ID,
        "Claim check",
        "Reads one form. Its id is a UUID, and its types have the names that newer schemas give them.",
        (
            InputVariable(form, "Form", "file", file_types=FILE_TYPES),
            InputVariable("workflow_input_c1aimn0te", "Note", "string", nullable=True),
            InputVariable("workflow_input_c1aimpage", "Pages", "integer", nullable=True),
            InputVariable("workflow_input_c1aimrush", "Urgent", "boolean", nullable=True),
        ),
        (*facts, OutputVariable("workflow_output_c1aim_verdict", "Verdict", "str", "verdict", form)),
    )


BUILTIN: Final[tuple[Workflow, ...]] = (
    _all_types(),
    _document(),
    _text(),
    _postman(),
    _modern(),
    _report(),
    _claim(),
)
"""The built-in workflows in the order they are listed."""
