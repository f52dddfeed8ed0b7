"""Pages of documentation as tests read them: their code blocks, and how each is to be run.

A comment right before a block says what is not plain from the block itself:

``<!-- not run: REASON -->``     it needs what a test has not, such as a cloud or a package registry
``<!-- exits: 6 -->``            the exit code of its last command, if not 0; ``any``: the machine decides
``<!-- output -->``              a ``text`` block: what the block before it printed
``<!-- file: PATH -->``          what that file of the repository holds, word for word
``<!-- hidden bash`` ... ``-->`` lines that are run and not shown: what a reader has and a test has not

A block with a title is a file, which the blocks after it find in the current folder.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
ANY = -1
"""An exit code that is not expected to be any in particular."""
_PIECE = re.compile(
    r"^<!--(?P<comment>.*?)-->$|^(?P<indent> *)(?P<fence>```+)(?P<info>[^\n`]*)\n(?P<code>.*?)^ *(?P=fence)$",
    re.DOTALL | re.MULTILINE,
)
_INCLUDE = re.compile(r'^--8<-- "(?P<path>[^"\n]+)"$', re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A code block, or hidden lines, of a page.

    Attributes:
        page: Its file, from the top of the repository.
        line: Where it begins.
        language: As the fence names it; empty without one.
        title: The name of the file that it is, if any.
        code: What it holds.
        not_run: Why it is not run; None where it is.
        exits: The exit code that is expected.
        is_output: Whether it is what the block before it printed.
        file: The file of the repository that it shows as a whole; None for none.
    """

    page: str
    line: int
    language: str
    title: str | None
    code: str
    not_run: str | None = None
    exits: int = 0
    is_output: bool = False
    file: str | None = None

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """README and every page of the site."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, hidden ones included, in their order."""
    text = page.read_text("utf-8")
    name = page.relative_to(ROOT).as_posix()
    found: list[Block] = []
    marks: dict[str, str] = {}
    end = 0
    for piece in _PIECE.finditer(text):
        if text[end : piece.start()].strip():
            marks = {}  # they belong to the block right behind them
        end = piece.end()
        line = text.count("\n", 0, piece.start()) + 1
        if piece["comment"] is not None:
            word, _, rest = piece["comment"].strip().partition("\n")
            if word.startswith("hidden "):
                found.append(Block(name, line, word.removeprefix("hidden ").strip(), None, rest))
            else:
                key, _, value = piece["comment"].strip().partition(":")
                marks[key.strip()] = " ".join(value.split())
            continue
        language, _, options = piece["info"].strip().partition(" ")
        title = re.search(r'title="([^"]+)"', options)
        indent = piece["indent"]
        code = "".join(row.removeprefix(indent) for row in piece["code"].splitlines(keepends=True))
        found.append(
            Block(
                name,
                line,
                language,
                title[1] if title else None,
                code,
                not_run=marks.get("not run"),
                exits=ANY if marks.get("exits") == "any" else int(marks.get("exits", 0)),
                is_output="output" in marks,
                file=marks.get("file"),
            )
        )
        marks = {}
    return found


def with_includes(text: str) -> str:
    """The text of a page with the files that it takes in."""
    return _INCLUDE.sub(lambda found: (ROOT / found["path"]).read_text("utf-8"), text)
