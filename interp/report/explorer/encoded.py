"""What the page holds, as text of an HTML file: tables and small values as JSON, big arrays as quantised bytes.

    tables   {"columns": [...], "rows": {column: [...]}}, floats to DIGITS significant digits, no number as null,
             infinity as 1e999, which readers of JSON take for it
    arrays   unsigned integers q with value = offset + scale q; the largest q, where `missing` is True, is no number

JSON and bytes are deflated and written in base64, but for what the first paint needs.
"""

import base64
import json
import math
import re
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

DIGITS = 6  # significant digits of floats in the page's tables
# A text is passed over, whatever it says.
_INFINITY = re.compile(r'"(?:[^"\\]|\\.)*"|Infinity')


def quantised(values: np.ndarray, *, low: float, high: float, bits: int = 8) -> dict[str, Any]:
    """An array as unsigned integers, each value off by at most half a step of (high - low) / (2^bits - 2).

    What lies outside low .. high is moved to the nearer end; no number keeps a code of its own.

    Args:
        bits: 8 or 16.

    Raises:
        ValueError: if low is not below high.

    >>> q = quantised(np.array([0.0, 0.5, 1.0, np.nan]), low=0.0, high=1.0)
    >>> q["codes"].tolist(), q["scale"] * 254
    ([0, 127, 254, 255], 1.0)
    """
    if not low < high:
        raise ValueError(f"quantised needs low below high, got {low} and {high}.")
    n_steps = 2**bits - 2
    scale = (high - low) / n_steps
    with np.errstate(invalid="ignore"):
        codes = np.rint((np.clip(values, low, high) - low) / scale)
    missing = np.isnan(codes)
    codes[missing] = n_steps + 1
    return {
        "codes": codes.astype(np.uint8 if bits == 8 else np.uint16),
        "scale": scale,
        "offset": float(low),
        "missing": bool(missing.any()),
    }


def whole_numbers(values: np.ndarray) -> dict[str, Any]:
    """An array of integers from 0 to 65535, kept exactly, in the least unsigned type that holds them.

    Raises:
        ValueError: if one is larger.
    """
    largest = int(values.max()) if values.size else 0
    if largest > 65535:
        raise ValueError(f"whole_numbers needs integers up to 65535, got {largest}.")
    kind = np.uint8 if largest < 256 else np.uint16
    return {"codes": values.astype(kind), "scale": 1.0, "offset": 0.0, "missing": False}


def array_text(array: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """What the page has to know of an array, and its bytes (little-endian) as text."""
    codes = np.ascontiguousarray(array["codes"])
    about = {
        "type": codes.dtype.name,
        "shape": list(codes.shape),
        **{name: array[name] for name in ("scale", "offset", "missing")},
    }
    return about, deflated(codes.astype(codes.dtype.newbyteorder("<")).tobytes())


def deflated(content: bytes) -> str:
    """Bytes as the page inflates them."""
    return base64.b64encode(zlib.compress(content, 6)).decode("ascii")


def json_text(value: Any) -> str:
    """JSON that cannot end the script element that holds it, the same for the same value."""
    text = json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))
    if "Infinity" in text:
        text = _INFINITY.sub(lambda found: "1e999" if found[0] == "Infinity" else found[0], text)
    text = text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    # A byte of a file's name that is no UTF-8 is half a surrogate pair in Python, which no file can hold.
    return re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)


def plain(value: Any) -> Any:
    """A value as JSON holds it: tables as the page reads them, no number as null."""
    if isinstance(value, pd.DataFrame):
        columns = list(map(str, value.columns))
        return {"columns": columns, "rows": {name: _column(value[name]) for name in value.columns}}
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    if isinstance(value, float):
        return _number(value)
    return value


def _column(column: pd.Series) -> list[Any]:
    return [None if one is pd.NA else plain(one) for one in column.tolist()]


def _number(value: float) -> float | int | None:
    if math.isnan(value):
        return None
    if math.isinf(value):
        return value
    short = float(f"{value:.{DIGITS}g}")
    return int(short) if short.is_integer() and abs(short) < 2**53 else short
