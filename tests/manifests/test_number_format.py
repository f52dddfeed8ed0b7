"""Numbers, dates and times as formats of Excel show them; what cannot be told is None, never another text."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opus_async.manifests.readers.number_format import general, shown_moment, shown_number, shown_text

ACCOUNTING = '_($* #,##0.00_);_($* (#,##0.00);_($* "-"??_);_(@_)'
PHONE = "[<=9999999]###-####;(###) ###-####"
MOMENT = datetime(2025, 11, 9, 8, 5, 7)  # noqa: DTZ001 - Excel has no zones


@pytest.mark.parametrize(
    ("number", "code", "shown"),
    [
        (1234, "000000", "001234"),
        (1234567, "000000", "1234567"),
        (94103, "00000-0000", "00009-4103"),
        (123456789, "000-00-0000", "123-45-6789"),
        (5, '"INV-"0000', "INV-0005"),
        (7, r"00\.00", "00.07"),
        (0.25, "0%", "25%"),
        (0.256, "0.0%", "25.6%"),
        (75, '0"%"', "75%"),
        (3, "0.00", "3.00"),
        (1.005, "0.00", "1.01"),
        (0.5, "#.##", ".5"),
        (12, "0.0#", "12.0"),
        (12, "#,##0.##", "12."),
        (12345.678, "#,##0.##", "12,345.68"),
        (1e6, "#,##0", "1,000,000"),
        (1234567, "#,##0,", "1,235"),
        (1234567, '0.0,,"M"', "1.2M"),
        (1234567, "0.00,", "1234.57"),
        (1234567, "0,.0,", "1.2"),
        (1234567, '#,##0.0,"K"', "1,234.6K"),
        (1234.5, '[>=1000]0.0,"K";0', "1.2K"),
        (1234.5, '"$"#,##0.00', "$1,234.50"),
        (-1234.5, '"$"#,##0.00', "-$1,234.50"),
        (1234.5, r"#,##0.00\ [$€-407]", "1,234.50 €"),
        (2.5, '[Red]0.0" days"', "2.5 days"),
        (-5, "0;(0)", "(5)"),
        (0, '0;(0);"-"', "-"),
        (0, "#", ""),
        (1234.5, ACCOUNTING, "$1,234.50"),
        (-1234.5, ACCOUNTING, "$(1,234.50)"),
        (5551234567, PHONE, "(555) 123-4567"),
        (5551234, PHONE, "555-1234"),
        (-12.3, r"[<=9999999]###\-####", "--12"),
        (-5, '[<0]"(" 0 ")"', "( 5 )"),
        (5, '[<0]"(" 0 ")"', "5"),
        (-25, "[Red][<=-25]General;[Blue][>=25]General;[Green]General", "25"),
        (-24, "[Red][<=-25]General;[Blue][>=25]General;[Green]General", "-24"),
        (-20, '[<-10]#" Wow"', "20 Wow"),
        (-5, '[>-10]#" Wow"', "-5 Wow"),
        (-2, "[>=-1]0;0", "2"),
        (-2, "[>=1]0;0", "-2"),
        (-12.3, r'[>=1000000]#,," M";####.00', "-12.30"),
        (-12.3, "[=0]?;#,##0.00", "-12.30"),
        (-5, "[<=0]0;0", "-5"),
        (-5, "[=-5]0;0", "5"),
        (-5, "[<>-5]0;0", "5"),
        (-5, "0;[<0](0)", "(5)"),
        (0, "0;[<-5](0);0.0", "0.0"),
        (-4, "0;[<-5](0);0.0", "-4.0"),
        (-6, "0;[<-5](0);0.0", "(6)"),
        (-5, "[>=0]0;(0)", None),  # programs do not agree
        (5, "[>=100]0;[<=-100]0", None),  # shown as ######
        (-0.4, "0", None),  # 0 or -0
        (-0.4, "0;(0)", "(0)"),
        (-5, "0;@", "-5"),
        (5, '0;"n/a "@', "5"),
        (12, "General", "12"),
        (0.1 + 0.2, "General", "0.3"),
        (-0.0, "General", "0"),
        (12, 'General" pcs"', "12 pcs"),
        (0.5, "# ?/?", None),
        (5, "0.00E+00", None),
        (5, ";;;", None),
        (5, "[DBNum1]0", None),
        (5, "0;0;0;0;0", None),
        (5, '0"', None),
        (5, "bogus", None),
        (5, "yyyy-mm-dd", None),
        (1e300, "0", None),
        (1.5, "0.0.0", None),
        (1.5, "0.0,0", None),
        (1.5, ",0", None),
    ],
)
def test_number_format_shows_number_as_excel_does(number, code, shown):
    assert shown_number(number, code) == shown


@pytest.mark.parametrize(
    ("text", "code", "shown"),
    [
        ("abc", "0.00", "abc"),
        ("abc", "# ?/?", "abc"),
        ("abc", "yyyy-mm-dd;@", "abc"),
        ("abc", ACCOUNTING, "abc"),
        ("abc", '"ID-"@', "ID-abc"),
        ("abc", '0;-0;0;"x" @ "y"', "x abc y"),
        ("abc", "@@", "abcabc"),
        ("abc", '0;0;0;"n/a"', "n/a"),
        ("abc", ";;;", None),
        ("abc", "0;0;0;", None),
        ("abc", "[DBNum1]@", None),
        ("abc", "0;0;0;General", None),
    ],
)
def test_number_format_shows_text_as_excel_does(text, code, shown):
    assert shown_text(text, code) == shown


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        (MOMENT, "yyyy-mm-dd", "2025-11-09"),
        (MOMENT, "d/m/yyyy", "9/11/2025"),
        (MOMENT, "mm/dd/yy", "11/09/25"),
        (MOMENT, "yyyymmdd", "20251109"),
        (MOMENT, "dd.mm.yyyy hh:mm", "09.11.2025 08:05"),
        (MOMENT, r"[$-409]d\-mmm\-yy;@", "9-Nov-25"),
        (MOMENT, "[$-409]dddd, mmmm d", "Sunday, November 9"),
        (MOMENT, 'yyyy"年"m"月"d"日"', "2025年11月9日"),
        (MOMENT, 'yyyy-mm-dd"T"hh:mm:ss"Z"', "2025-11-09T08:05:07Z"),
        (date(2025, 11, 9), r"yyyy\-mm\-dd\ hh:mm", "2025-11-09 00:00"),
        (time(8, 5, 7), "h:mm AM/PM", "8:05 AM"),
        (time(13, 5, 7), "h:mm AM/PM", "1:05 PM"),
        (time(8, 5, 7, 250_000), "mm:ss.0", "05:07.3"),
        (timedelta(hours=30, seconds=7), "[h]:mm:ss", "30:00:07"),
        (MOMENT, "d-mmm-yy", None),  # the month in the language of whoever looks
        (MOMENT, "[$-407]d. mmmm yyyy", None),
        (MOMENT, "[$-F800]dddd, mmmm dd, yyyy", None),
        (MOMENT, "General", None),
        (MOMENT, "0.00", None),
    ],
)
def test_number_format_shows_moment_as_excel_does(value, code, shown):
    assert shown_moment(value, code) == shown


@given(st.integers(-(10**15) + 1, 10**15 - 1))
def test_number_format_without_places_loses_no_digit(number):
    assert shown_number(number, "0") == general(number) == str(number)
    assert shown_number(number, "#,##0").replace(",", "") == str(number)
    assert shown_number(number, "#,##0", "").replace(",", "") == str(number)


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.text('0#?.,%;_*[]<>="\\/-$@GeneralymdhsAP ', max_size=12),
)
def test_number_format_never_fails(number, code):
    for shown in (shown_number(number, code), shown_moment(MOMENT, code), shown_text("x", code)):
        assert shown is None or isinstance(shown, str)
