"""How large a Parquet file becomes, read off its footer: a few kilobytes can hold a billion equal numbers."""

from io import BytesIO

# A run of a million steps has five million cells in its history.
MOST_CELLS = 10**8
MOST_BYTES = 2**31


def check_parquet(data: bytes) -> None:
    """Refuse a table that would take far more memory than any table of this package.

    Raises:
        ValueError: if it does.
        OSError, pyarrow.ArrowException: if its footer cannot be read.
    """
    import pyarrow.parquet as pq  # takes a while to load

    about = pq.read_metadata(BytesIO(data))
    n_bytes = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    if about.num_rows * about.num_columns > MOST_CELLS or n_bytes > MOST_BYTES:
        raise ValueError(
            f"it claims {about.num_rows:,} rows of {about.num_columns:,} columns ({n_bytes:,} bytes) in a file of "
            f"{len(data):,}, more than any table of a run"
        )
