"""The page around the sections: one file that loads nothing and runs nothing."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from string import Template

from opus_async.batch.report import details, sections
from opus_async.batch.report.configuration import configuration
from opus_async.batch.report.report_data import ReportData
from opus_async.batch.report.verdict import verdict
from opus_async.reporting.html import text

_SECTIONS = (
    sections.opening,
    sections.next_steps,
    sections.key_figures,
    sections.throughput,
    sections.standing,
    details.stage_times,
    details.failures,
    details.slowest,
    details.throttling,
    details.duplicates,
    details.sessions,
    configuration,
)
_WITHOUT_ROWS = (sections.opening, sections.next_steps, details.sessions, configuration)
_PATTERNS = """<svg class="defs" width="0" height="0" aria-hidden="true"><defs>
<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
<rect class="hatch-ground" width="6" height="6"/><path class="hatch-line" d="M0 0V6"/></pattern>
<pattern id="pause" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
<path class="pause-line" d="M0 0V7"/></pattern>
</defs></svg>
"""
"""Patterns beside the colours: for who cannot tell the colours apart, and for printers that have none."""

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="$policy">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>$title</title>
<style>$style</style>
</head>
<body>
$patterns<main>
$body<footer>
<p>Made by <code>opus-async batch report</code> from <code>ledger.db</code>. It loads and sends nothing.</p>
</footer>
</main>
</body>
</html>
""")
"""The policy lets nothing in but the style sheet: even a text that was not escaped could do nothing."""


def page(data: ReportData) -> bytes:
    """The whole report as HTML in UTF-8."""
    style = resources.files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    parts = _SECTIONS if data.counts.total else _WITHOUT_ROWS
    body = "".join(part(data) for part in parts)
    title = f"{verdict(data).sentence} {data.directory.absolute().name}"
    document = _PAGE.substitute(
        policy=f"default-src 'none'; style-src 'sha256-{digest}'",
        title=text(title),
        style=style,
        patterns=_PATTERNS,
        body=body,
    )
    return document.encode("utf-8", "replace")
