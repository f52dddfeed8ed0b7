"""HTML by construction: nothing of others is markup, deceives, or is endless."""

from __future__ import annotations

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from opus_async.reporting import page
from opus_async.reporting.html import code, element, isolated, together, verbatim

EVIL = "<img src=x onerror=alert(1)>\"'&"


def rendered(template: str, **values: object) -> str:
    return page._environment("opus_async.batch.report").from_string(template).render(**values)


def test_template_escapes_whatever_it_prints_in_text_and_in_attributes():
    shown = rendered('<p title="{{ it }}">{{ it }}</p>', it=EVIL)
    assert "<img" not in shown
    assert shown.count("&lt;img src=x onerror=alert(1)&gt;&#34;&#39;&amp;") == 2


def test_template_shows_marks_that_deceive_and_controls():
    assert rendered("{{ it }}", it="a\u202egnp.exe\x00") == r"a\u202egnp.exe\u0000"


def test_template_cuts_what_is_endless_and_puts_it_on_one_line():
    assert rendered("{{ it }}", it="a\n\n b" + "x" * 10_000) == "a b" + "x" * 395 + " …"
    assert rendered("{{ it | isolated(5) }}", it="abcdefgh") == "<bdi>abcde …</bdi>"


def test_template_takes_out_what_looks_like_a_key_or_a_signature():
    secret = "_" + "0123456789abcdef" * 6
    shown = rendered("{{ it }}", it=f"{secret} https://s3.example/a?X-Amz-Signature=5f3a")
    assert shown == "_… https://s3.example/a?…"


def test_template_that_names_what_is_not_there_is_an_error():
    with pytest.raises(UndefinedError):
        rendered("{{ nothing }}")


def test_element_escapes_attributes_and_what_is_in_it():
    assert element("p", EVIL, Markup("<b>"), class_=EVIL, aria_label="x") == (
        '<p class="&lt;img src=x onerror=alert(1)&gt;&#34;&#39;&amp;" aria-label="x">'
        "&lt;img src=x onerror=alert(1)&gt;&#34;&#39;&amp;<b></p>"
    )


def test_element_does_not_cut_an_outline():
    outline = "M0 0" + "L1 1" * 1_000
    assert outline in element("path", d=outline)


@pytest.mark.parametrize("made", [code(EVIL), isolated(EVIL), verbatim(EVIL), together([EVIL])])
def test_helpers_escape(made):
    assert isinstance(made, Markup)
    assert "<img" not in made


def test_verbatim_keeps_every_blank():
    assert verbatim("a  'b'") == "a  &#39;b&#39;"
