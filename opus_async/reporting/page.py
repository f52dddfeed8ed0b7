"""Renders a page from a template: one file that loads and runs nothing, for screens and for paper."""

from __future__ import annotations

import base64
import hashlib
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


def page(package: str, template: str, **values: Any) -> bytes:
    """Render a page as HTML in UTF-8.

    Args:
        package: The package in whose folder ``templates`` the template lies.
        template: The name of the template; it extends ``page.html``, and may import ``macros.html``.
        values: The values that it shows. Texts go through :func:`~opus_async.reporting.html.finalize`.
    """
    style = resources.files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    document = (
        _environment(package)
        .get_template(template)
        .render(
            style=Markup(style),  # noqa: S704 - a file of ours
            style_digest=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
            **values,
        )
    )
    return document.encode("utf-8", "replace")


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
