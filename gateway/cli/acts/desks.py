"""Whom to call: the desks of other states, with name and telephone, in a file of the workstation.

A hit brings a state and the number of a desk. The telephone stands in the agreement's annex, which both desks hold, and
people write it into `desks.csv` from there: no number that a message brings is dialled.

    state,desk,name,telephone
    PAN,1,Border police duty desk,+507 000 0000
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gateway.errors import InputRefused
from gateway.people import messages

FILE_NAME: Final = "desks.csv"
BYTES_MAX: Final = 65_536
HEADER: Final = ["state", "desk", "name", "telephone"]

_SHOWN = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,80}\Z")
_TELEPHONE = re.compile(r"\+?[0-9][0-9 ()/-]{2,31}\Z")

Desks = Mapping[tuple[str, int], str]


def read(folder: Path) -> Desks:
    """Name and telephone by state and desk; empty where the workstation has no such file.

    Raises:
        InputRefused: the file is too long, or a line is not of the form; names the line and never what stands there.
    """
    try:
        with (folder / FILE_NAME).open("rb") as file:
            data = file.read(BYTES_MAX + 1)
    except FileNotFoundError:
        return {}
    except OSError as cause:
        raise InputRefused(f"cannot be read ({cause.strerror})", field=FILE_NAME) from None
    return parse(data)


def parse(data: bytes) -> Desks:
    """The file's content. Raises InputRefused."""
    if len(data) > BYTES_MAX:
        raise InputRefused(f"has more than {BYTES_MAX} bytes", field=FILE_NAME, code="SIZE")
    found: dict[tuple[str, int], str] = {}
    line, has_header = 1, False
    try:
        rows = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        for cells in rows:
            line = rows.line_num
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if not has_header:
                if cells != HEADER:
                    raise _refused(f"write the header {','.join(HEADER)}", line)
                has_header = True
                continue
            found.setdefault(*_row(cells, line))
    except (UnicodeDecodeError, csv.Error):
        raise _refused("is not CSV in UTF-8", line) from None
    return found


def _row(cells: list[str], line: int) -> tuple[tuple[str, int], str]:
    if len(cells) != len(HEADER):
        raise _refused(f"write {len(HEADER)} cells", line)
    state, desk, name, telephone = cells
    if not re.fullmatch("[A-Z]{3}", state):
        raise _refused("state: write three capital letters", line)
    if not re.fullmatch("[0-9]{1,5}", desk) or int(desk) > 65_535:
        raise _refused("desk: write a number up to 65535", line)
    if not _SHOWN.match(name):
        raise _refused("name: write up to 80 characters", line)
    if not _TELEPHONE.match(telephone):
        raise _refused("telephone: write digits, spaces and + ( ) / -", line)
    return (state, int(desk)), f"{name}, {telephone}"


def _refused(why: str, line: int) -> InputRefused:
    return InputRefused(why, line=line, field=FILE_NAME, code="DESKS")


def said(owner: str, desk: int, known: Desks) -> str:
    """Whom to call, with name and telephone where the workstation knows them, else where they stand."""
    number = known.get((owner, desk))
    return messages.contact(owner, desk) + (
        f" ({number})" if number else f" (see the agreement's annex; {FILE_NAME} beside booth.toml shows it here)"
    )


__all__ = ["BYTES_MAX", "FILE_NAME", "HEADER", "Desks", "parse", "read", "said"]
