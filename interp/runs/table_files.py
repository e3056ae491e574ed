"""Tables of a run as Parquet files, each with its own checksum: of the history, and of what was measured."""

import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interp.ground.parquet_sizes import check_parquet
from interp.ground.plain_json import json_value
from interp.ground.whole_reading import read_whole
from interp.runs.seal import OPEN, is_sealed, sealed
from interp.runs.tensor_files import RunError, not_readable

if TYPE_CHECKING:
    import pandas as pd

ABOUT = b"grokscope"


def table_bytes(table: "pd.DataFrame", about: Mapping[str, Any] | None = None) -> bytes:
    """A Parquet file of the table that states its own checksum.

    Args:
        about: plain values to be kept in it beside the table.
    """
    # Heavy, as pandas is, and not needed to read weights.
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = pa.Table.from_pandas(table, preserve_index=False)
    metadata = {
        **(rows.schema.metadata or {}),
        ABOUT: json.dumps(about or {}).encode(),
        b"seal": OPEN.encode(),
    }
    sink = pa.BufferOutputStream()
    pq.write_table(rows.replace_schema_metadata(metadata), sink, compression="zstd")
    return sealed(sink.getvalue().to_pybytes())


def read_table(path: Path, *, needs_seal: bool = False) -> tuple["pd.DataFrame", dict[str, Any]]:
    """The table in a file, and what was kept beside it.

    Args:
        needs_seal: whether a file that states no checksum, as those of earlier versions, is refused too.

    Raises:
        RunError: if it cannot be read, or is not what was written.
    """
    import pyarrow.parquet as pq

    try:
        data = read_whole(path)
    except OSError as error:
        raise not_readable(path, error) from error
    try:
        if not is_sealed(data) and needs_seal:
            raise ValueError("it states no checksum")
        check_parquet(data)
        # pq.read_table starts threads, this none: a process that ends at once can be aborted while they start.
        rows = pq.ParquetFile(BytesIO(data), pre_buffer=False).read(use_threads=False)
        about = json_value((rows.schema.metadata or {}).get(ABOUT, b"{}"))
        return rows.to_pandas(use_threads=False), about if isinstance(about, dict) else {}
    # A damaged file of an earlier version, without a checksum, may fail in any part of the reader.
    except Exception as error:
        raise RunError(
            f"{path} is not a readable table ({error}). Run `interp verify {path.parent}`."
        ) from error
