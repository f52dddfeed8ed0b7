"""HTML by construction: nothing of others is markup, deceives, or is endless."""

from __future__ import annotations

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from opus_async.reporting import html, page
from opus_async.reporting.html import code, element, isolated, together, verbatim

EVIL = "<img src=x onerror=alert(1)>\"'&"


def rendered(template: str, **values: object) -> str:
    return page._environment("opus_async.batch.report").from_string(template).render(**values)


def test_template_escapes_values_in_text_and_attributes():
    shown = rendered('<p title="{{ it }}">{{ it }}</p>', it=EVIL)
    assert "<img" not in shown
    assert shown.count("&lt;img src=x onerror=alert(1)&gt;&#34;&#39;&amp;") == 2


def test_template_shows_bidi_and_control_characters_as_escapes():
    assert rendered("{{ it }}", it="a\u202egnp.exe\x00") == r"a\u202egnp.exe\u0000"


def test_no_character_that_is_shown_as_an_escape_is_printable():
    deceptive = [chr(number) for number in range(0x110000) if html._DECEPTIVE.match(chr(number))]
    assert len(deceptive) > 2_000
    assert not [each for each in deceptive if each.isprintable()]


def test_template_truncates_long_values_and_joins_lines():
    assert rendered("{{ it }}", it="a\n\n b" + "x" * 10_000) == "a b" + "x" * 395 + " …"
    assert rendered("{{ it | isolated(5) }}", it="abcdefgh") == "<bdi>abcde …</bdi>"


def test_template_masks_service_keys_and_url_signatures():
    secret = "_" + "0123456789abcdef" * 6
    shown = rendered("{{ it }}", it=f"{secret} https://s3.example/a?X-Amz-Signature=5f3a")
    assert shown == "_… https://s3.example/a?…"


def test_template_raises_on_undefined_variable():
    with pytest.raises(UndefinedError):
        rendered("{{ nothing }}")


def test_element_escapes_attributes_and_content():
    assert element("p", EVIL, Markup("<b>"), class_=EVIL, aria_label="x") == (
        '<p class="&lt;img src=x onerror=alert(1)&gt;&#34;&#39;&amp;" aria-label="x">'
        "&lt;img src=x onerror=alert(1)&gt;&#34;&#39;&amp;<b></p>"
    )


def test_element_does_not_truncate_svg_path():
    outline = "M0 0" + "L1 1" * 1_000
    assert outline in element("path", d=outline)


@pytest.mark.parametrize("made", [code(EVIL), isolated(EVIL), verbatim(EVIL), together([EVIL])])
def test_html_helpers_escape(made):
    assert isinstance(made, Markup)
    assert "<img" not in made


def test_verbatim_keeps_repeated_spaces():
    assert verbatim("a  'b'") == "a  &#39;b&#39;"
