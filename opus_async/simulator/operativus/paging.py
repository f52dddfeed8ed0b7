"""Pages: what a query asks for, with the server's own ideas about bad values, and both forms of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from opus_async.simulator.operativus import traits
from opus_async.simulator.operativus.problems import invalid_argument, server_error

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_SIZE: Final = 20
LARGEST_SIZE: Final = 200


def lenient(query: str) -> tuple[int, int]:
    """Return page and size of a list that repairs bad values: the size 0 means the default."""
    page, size = _number(query, "page", 0), _number(query, "size", DEFAULT_SIZE)
    return max(page, 0), min(size, LARGEST_SIZE) if size >= 1 else DEFAULT_SIZE


def strict(query: str) -> tuple[int, int]:
    """Return page and size of a list that refuses values under their lowest with 400."""
    page, size = _number(query, "page", 0), _number(query, "size", DEFAULT_SIZE)
    if page < 0:
        raise invalid_argument("Page index must not be less than zero")
    if size < 1:
        raise invalid_argument("Page size must not be less than one")
    return page, min(size, LARGEST_SIZE)


def sorting(query: str, fields: Sequence[str]) -> tuple[str, bool] | None:
    """Return the field to sort by and whether downwards, or None; an unknown field is a 500."""
    asked = parse_qs(query).get("sort")
    if not asked:
        return None
    name, _, direction = asked[0].partition(",")
    if name not in fields or direction.lower() not in ("", "asc", "desc"):
        raise server_error()
    return name, direction.lower() == "desc"


def page_of(rows: list[Any], page: int, size: int, total: int, active: frozenset[str]) -> dict[str, Any]:
    """Return one page as JSON values."""
    pages = -(-total // size)
    if traits.FLAT_PAGES in active:
        return {"content": rows, "totalElements": total, "totalPages": pages, "number": page}
    about = {"size": size, "number": page, "totalElements": total, "totalPages": pages}
    return {"content": rows, "page": about}


def _number(query: str, name: str, default: int) -> int:
    given = parse_qs(query).get(name)
    if not given:
        return default
    try:
        return int(given[0])
    except ValueError:
        raise server_error() from None
