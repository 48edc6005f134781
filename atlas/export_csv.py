"""Write tables as CSV for spreadsheets: RFC 4180, UTF-8, units in the names of columns, no cell that is a formula."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from atlas.export_geojson import plain

# What a spreadsheet takes for the beginning of a formula; tab and carriage return are skipped on the way to one.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(table: pd.DataFrame, columns: Sequence[str] = ()) -> str:
    """Return a table as CSV: a header and a row each, lists joined by semicolons, nothing where there is no value.

    `columns` are those to write, in order; a table without rows then still has its header. A text that a spreadsheet
    would run as a formula gets an apostrophe in front; numbers stay as they are. The index is not written.
    """
    chosen = table.reindex(columns=list(columns)) if columns else table
    made = pd.DataFrame({str(c): [_cell(v) for v in chosen[c].tolist()] for c in chosen.columns}, dtype=object)
    if not len(made):
        made = pd.DataFrame(columns=[str(c) for c in chosen.columns])
    return str(made.to_csv(index=False, lineterminator="\r\n"))


def _cell(value: Any) -> Any:
    """Return a value as it stands in a cell."""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    made = plain(value)
    return f"'{made}" if isinstance(made, str) and made.startswith(FORMULA) else made
