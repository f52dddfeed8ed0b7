"""Makes the content of the demo's documents: contracts, sensor tables, orders, reports, invoices, scans.

Each maker takes a random generator, a number that no other document has, and about how many bytes are wanted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from html import escape
from random import Random
from types import MappingProxyType

from opus_async.cli.demo import pdf, png

Maker = Callable[[Random, int, int], bytes]

_PARTIES = ("Aster & Co.", "Birch Logistics", "Cedar Foods", "Delta Optics", "Elm Shipping", "Fjord Energy")
_GOODS = (
    "bearings",
    "copper wire",
    "gaskets",
    "lenses",
    "paper rolls",
    "pallets",
    "pumps",
    "resin",
    "valves",
)
_CLAUSES = (
    "The Supplier delivers the goods to the named place within {n} days of the order.",
    "Either party may end this agreement with a notice of {n} days in writing.",
    "Invoices are due {n} days after receipt, without deduction.",
    "Defects are reported within {n} days of delivery; hidden ones within {n} days of their discovery.",
    "The liability of either party is limited to {n}0,000 EUR a year, except for intent.",
    "Both parties keep confidential what they learn of each other for {n} months after the end.",
)
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def contract(chance: Random, number: int, size: int) -> bytes:
    """Plain text: numbered clauses."""
    seller, buyer = chance.sample(_PARTIES, 2)
    lines = [f"SUPPLY AGREEMENT No. {number}", "", f"between {seller} (Supplier) and {buyer} (Buyer)", ""]
    lines += [
        f"{clause}. {chance.choice(_CLAUSES).format(n=chance.randint(5, 90))}"
        for clause in range(1, max(size // 84, 3))
    ]
    return _text([*lines, "", f"Signed for {seller} and {buyer}."])


def sensors(chance: Random, number: int, size: int) -> bytes:
    """CSV: a reading every minute."""
    lines = ["time,sensor,temperature_c,humidity_percent,pressure_hpa,state"]
    for minute in range(max(size // 52, 3)):
        state = "ok" if chance.random() > 0.02 else '"check, then reset"'  # noqa: PLR2004 - a rare state
        lines.append(
            f"{(_EPOCH + timedelta(minutes=minute)).isoformat()},S{number:05},"
            f"{chance.gauss(21, 2):.2f},{chance.uniform(30, 60):.1f},{chance.gauss(1013, 5):.1f},{state}"
        )
    return _text(lines)


def order(chance: Random, number: int, size: int) -> bytes:
    """JSON: an order with its items."""
    items = [_item(chance, line) for line in range(1, max(size // 115, 2))]
    document = {"order": number, "customer": chance.choice(_PARTIES), "currency": "EUR", "items": items}
    return _text([json.dumps(document, indent=1)])


def _item(chance: Random, line: int) -> dict[str, object]:
    return {
        "line": line,
        "goods": chance.choice(_GOODS),
        "quantity": chance.randint(1, 500),
        "unit_price": round(chance.uniform(0.5, 900), 2),
    }


def report(chance: Random, number: int, size: int) -> bytes:
    """HTML: a monthly report with a table."""
    party = escape(chance.choice(_PARTIES))
    lines = [
        "<!DOCTYPE html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>Report {number}</title></head>',
        f"<body><h1>Monthly report {number}: {party}</h1>",
        "<table><tr><th>Goods</th><th>Sold</th><th>Returned</th></tr>",
    ]
    for _ in range(max(size // 62, 3)):
        sold = chance.randint(0, 9000)
        returned = chance.randint(0, sold // 10)
        lines.append(f"<tr><td>{chance.choice(_GOODS)}</td><td>{sold}</td><td>{returned}</td></tr>")
    return _text([*lines, "</table></body></html>"])


def invoice_xml(chance: Random, number: int, size: int) -> bytes:
    """XML: an electronic invoice."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<Invoice number="{number}" currency="EUR">',
        f"  <Supplier>{escape(chance.choice(_PARTIES))}</Supplier>",
    ]
    for line in range(1, max(size // 78, 3)):
        amount = f"{chance.uniform(1, 5000):.2f}"
        lines.append(f'  <Line id="{line}" goods="{chance.choice(_GOODS)}" amount="{amount}"/>')
    return _text([*lines, "</Invoice>"])


def scan(chance: Random, number: int, size: int) -> bytes:
    """PNG: a page as a bad scanner sees it, lines of grey on noise."""
    width = max(int((size * 0.75) ** 0.5), 24)
    height = max(size // width, 32)
    noise = chance.randbytes(width * height)
    # Noise between light and dark grey; every twelfth band of rows is a line of "text".
    paper, ink = bytes(200 + value % 56 for value in range(256)), bytes(value % 90 for value in range(256))
    rows = [
        noise[row * width : (row + 1) * width].translate(ink if row % 12 in {4, 5} else paper)
        for row in range(height)
    ]
    return png.image(rows, comment=f"Scan {number}")


def invoice(chance: Random, number: int, size: int) -> bytes:
    """PDF: an invoice of one to many pages."""
    supplier, customer = chance.sample(_PARTIES, 2)
    per_page = pdf.LINES_PER_PAGE - 6
    pages, total = [], 0.0
    count = max(size // 3500, 2)
    for page in range(1, count + 1):
        lines = [f"INVOICE {number}", f"{supplier} to {customer}", f"Page {page} of {count}", ""]
        for line in range(per_page):
            quantity, price = chance.randint(1, 90), round(chance.uniform(0.5, 900), 2)
            total += quantity * price
            position = (page - 1) * per_page + line + 1
            lines.append(f"{position:>5}  {chance.choice(_GOODS)}: {quantity} x {price:.2f} EUR")
        pages.append([*lines, "", f"Carried forward: {total:.2f} EUR"])
    return pdf.document(f"Invoice {number}", pages)


def _text(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()


MAKERS: Mapping[str, tuple[str, Maker]] = MappingProxyType(
    {
        "txt": ("contract", contract),
        "csv": ("sensors", sensors),
        "json": ("order", order),
        "html": ("report", report),
        "xml": ("einvoice", invoice_xml),
        "png": ("scan", scan),
        "pdf": ("invoice", invoice),
    }
)
"""Extension -> the beginning of such a file's name, and its maker."""
