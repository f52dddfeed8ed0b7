"""The page of a run of which there is nothing to report: not yet, or not any more."""

from __future__ import annotations

from opus_async.reporting.page import page


def notice_page(kind: str, name: str, *, word: str, sentence: str) -> bytes:
    """A live page with one sentence, as HTML in UTF-8.

    Args:
        kind: Of the run: ``Batch``.
        name: Of the run.
        word: How it stands, in one word.
        sentence: The same in a sentence.
    """
    return page(
        "opus_async.reporting", "notice.html", live=True, kind=kind, name=name, word=word, sentence=sentence
    )
