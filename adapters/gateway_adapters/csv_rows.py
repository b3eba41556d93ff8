"""The rows of a CSV file with a header line (RFC 4180), each with the line where it starts."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator

from gateway.errors import InputRefused


def rows(
    lines: Iterable[str], judge_header: Callable[[list[str]], None], *, rows_max: int, lower: bool = False
) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, cells by column) of each row that is not blank. `lower` folds the header's names.

    A row with more or fewer cells than the header comes as one cell under "", which says how many: shifted, it could
    put a number into another column, so its reader refuses it as a whole.

    Raises:
        InputRefused: no header, a broken quote, or too many rows; and what `judge_header` raises.
    """
    reader = csv.reader(lines, strict=True)
    header: list[str] | None = None
    start = 1
    try:
        for count, cells in enumerate(reader):
            line, start = start, reader.line_num + 1
            if header is None:
                header = [cell.strip().lower() if lower else cell.strip() for cell in cells]
                judge_header(header)
                continue
            if not any(cell.strip() for cell in cells):
                continue
            if count > rows_max:
                raise InputRefused(f"the file has more than {rows_max} rows", line=line, code="FILE_SIZE")
            if len(cells) != len(header):
                yield line, {"": f"{len(cells)} cells under {len(header)} columns"}
                continue
            yield line, {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    except csv.Error:
        raise InputRefused("the line is not CSV: a quote or a line break is broken", line=reader.line_num,
                           code="CSV") from None  # fmt: skip
    if header is None:
        raise InputRefused("the file is empty", code="EMPTY")
