"""Writes the files of the repository that pages show into these pages anew."""

from __future__ import annotations

import re

from pages import ROOT, pages

_SHOWN = re.compile(r"(^<!-- file: (?P<path>\S+) -->\n```python\n).*?(^```$)", re.DOTALL | re.MULTILINE)


def with_files(text: str) -> str:
    """The text of a page with these files as they are now."""
    return _SHOWN.sub(lambda found: found[1] + (ROOT / found["path"]).read_text("utf-8") + found[3], text)


if __name__ == "__main__":
    for page in pages():
        page.write_text(with_files(page.read_text("utf-8")), "utf-8")
