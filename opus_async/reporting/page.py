"""Renders a page from a template: one file that loads and runs nothing, for screens and for paper.

A live page is the same with one script, ``live.js``, which asks the page's own server for what has changed.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from opus_async import text
from opus_async.reporting import figures, html

if TYPE_CHECKING:
    from jinja2 import Environment

_FILTERS = {
    "code": html.code,
    "count": text.count,
    "counted": text.counted,
    "duration": figures.duration,
    "isolated": html.isolated,
    "moment": text.moment,
    "plural": text.plural,
    "share": figures.share,
    "size": figures.size,
    "unbroken": figures.unbroken,
    "verbatim": html.verbatim,
}


def page(package: str, template: str, *, live: bool = False, **values: Any) -> bytes:
    """Render a page as HTML in UTF-8.

    Args:
        package: The package in whose folder ``templates`` the template lies.
        template: The name of the template; it extends ``page.html``, and may import ``macros.html``.
        live: Whether it is to follow what it shows, from a server.
        values: The values that it shows. Texts go through :func:`~opus_async.reporting.html.finalize`.
    """
    document = (
        _environment(package)
        .get_template(template)
        .render(style=_file("style.css"), script=_file("live.js"), live=live, **values)
    )
    return document.encode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class _Inline:
    """A file of ours that stands in a page, and by whose digest the policy of the page lets it in."""

    content: Markup
    digest: str


@cache
def _file(name: str) -> _Inline:
    content = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    return _Inline(Markup(content), f"sha256-{digest}")  # noqa: S704 - a file of ours


@cache
def _environment(package: str) -> Environment:
    # The only user of Jinja: a process that writes no report need not import it.
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader(__package__)]),
        autoescape=True,
        finalize=html.finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(_FILTERS)
    return environment
