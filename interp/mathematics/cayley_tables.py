"""Cayley tables of other people: checked for every axiom of a group, read from CSV.

A file is either n rows of n integers 0 .. n-1, row a and column b holding the index of a∘b, or a table of
names with a header: the names of the elements in the first row and, in the same order, in the first column.

    0,1,2          ,e,a,b
    1,2,0         e,e,a,b
    2,0,1         a,a,b,e
                  b,b,e,a

Cells are separated by commas, semicolons or tabs; empty lines are skipped.
"""

import csv
import itertools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np
import torch
from torch import Tensor

from interp.mathematics.groups import LARGEST_ORDER, Group

_LARGEST_FILE = 256 * 2**20
_LONGEST_CELL = 64
_LONGEST_LINE = (LARGEST_ORDER + 1) * (_LONGEST_CELL + 1)
_N_AT_ONCE = 2**22


def group_from_table(table: Tensor, name: str, elements: Sequence[str] | None = None) -> Group:
    """The group of a Cayley table, which has been checked for every axiom.

    Args:
        table: integers, table[a, b] is the index of a∘b.
        elements: a name of each element, its index if not given.

    Raises:
        ValueError: if the table is not square or too large, an entry is no element, there is no identity, an
            element has no inverse, or the operation is not associative. The message names those at fault.

    >>> group_from_table(torch.tensor([[0, 1], [1, 0]]), "parity").is_abelian
    True
    >>> group_from_table(torch.tensor([[0, 1], [1, 1]]), "or")
    Traceback (most recent call last):
    ...
    ValueError: A group needs an inverse of every element, got 1∘0 = 1∘1 = 1: row 1 lacks an element.
    """
    if table.ndim != 2 or table.shape[0] != table.shape[1] or len(table) == 0:
        raise ValueError(
            f"A Cayley table needs as many rows as columns, at least 1, got {tuple(table.shape)}."
        )
    n = len(table)
    if n > LARGEST_ORDER:
        raise ValueError(f"A Cayley table needs at most {LARGEST_ORDER} elements here, got {n}.")
    if table.is_floating_point() or table.is_complex() or table.dtype == torch.bool:
        raise ValueError(f"A Cayley table needs integers, got {table.dtype}.")
    names = tuple(elements) if elements is not None else tuple(str(i) for i in range(n))
    if len(names) != n or len(set(names)) < n:
        what = f"{len(names)} names, {len(set(names))} of them different"
        raise ValueError(f"A group of {n} elements needs a different name for each, got {what}.")
    # A copy of its own: a group is shared and must not change with the caller's tensor.
    entries = table.detach().cpu().numpy().astype(np.int64)
    _check_closure(entries, names)
    _check_identity(entries, names)
    _check_inverses(entries, names)
    _check_associativity(entries, names)
    return Group(name, torch.from_numpy(entries), names)


def _check_closure(table: np.ndarray, names: Sequence[str]) -> None:
    is_outside = (table < 0) | (table >= len(table))
    if is_outside.any():
        a, b = (int(i[0]) for i in is_outside.nonzero())
        raise ValueError(
            f"A Cayley table of {len(table)} elements needs entries 0 .. {len(table) - 1}, got "
            f"{names[a]}∘{names[b]} = {table[a, b]}, which is no element."
        )


def _check_identity(table: np.ndarray, names: Sequence[str]) -> None:
    order = np.arange(len(table))
    n_kept = (table == order).sum(1) + (table == order[:, None]).sum(0)
    e = int(n_kept.argmax())
    if n_kept[e] == 2 * len(table):
        return
    b = int(((table[e] != order) | (table[:, e] != order)).argmax())
    left, right = names[table[e, b]], names[table[b, e]]
    raise ValueError(
        "A group needs an identity e with e∘x = x∘e = x for every x, got none. "
        f"The nearest is {names[e]}, but {names[e]}∘{names[b]} = {left} and {names[b]}∘{names[e]} = {right}."
    )


def _check_inverses(table: np.ndarray, names: Sequence[str]) -> None:
    # With associativity, inverses and "every element once in every row and column" are the same.
    for kind, lines in (("row", table), ("column", table.T)):
        is_wrong = (np.sort(lines, axis=1) != np.arange(len(table))).any(1)
        if not is_wrong.any():
            continue
        a = int(is_wrong.argmax())
        twice = int((np.bincount(lines[a]) > 1).argmax())
        b, c = (int(i) for i in (lines[a] == twice).nonzero()[0][:2])
        products = [(a, b), (a, c)] if kind == "row" else [(b, a), (c, a)]
        shown = " = ".join(f"{names[x]}∘{names[y]}" for x, y in products)
        raise ValueError(
            f"A group needs an inverse of every element, got {shown} = {names[twice]}: "
            f"{kind} {names[a]} lacks an element."
        )


def _check_associativity(table: np.ndarray, names: Sequence[str]) -> None:
    """Refuse unless (a∘b)∘c = a∘(b∘c) for all elements, by Light's test: b runs over generators only.

    The elements b for which it holds with all a and c are closed under the operation.

    References: Clifford and Preston 1961, "The algebraic theory of semigroups", section 1.2.
    """
    n = len(table)
    generators: list[int] = []
    is_reached = (table == np.arange(n)).all(1)
    while not is_reached.all():
        b = int(is_reached.argmin())
        generators.append(b)
        step = max(1, _N_AT_ONCE // n)
        for start in range(0, n, step):
            a = np.arange(start, min(start + step, n))
            is_wrong = table[table[a, b]] != table[a][:, table[b]]
            if is_wrong.any():
                row, c = (int(i[0]) for i in is_wrong.nonzero())
                x, y, z = names[a[row]], names[b], names[c]
                left, right = names[table[table[a[row], b], c]], names[table[a[row], table[b, c]]]
                raise ValueError(
                    f"A group needs an associative operation, got ({x}∘{y})∘{z} = {left} but "
                    f"{x}∘({y}∘{z}) = {right}."
                )
        is_reached[b] = True
        frontier = is_reached.nonzero()[0]
        while len(frontier):
            products = np.unique(table[frontier][:, generators])
            frontier = products[~is_reached[products]]
            is_reached[frontier] = True


def read_cayley_table(path: str | os.PathLike[str], name: str | None = None) -> Group:
    """The group whose Cayley table lies in a CSV file, of integers or of names as the module shows.

    Args:
        name: of the group, that of the file without its ending if not given.

    Raises:
        ValueError: if the file cannot be read, is no table of either kind, or is the table of no group.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise ValueError(f"it is {'no regular file' if path.exists() else 'not there'}")
        if path.stat().st_size > _LARGEST_FILE:
            raise ValueError(
                f"it has {path.stat().st_size / 2**20:,.0f} MiB, a table of {LARGEST_ORDER} elements "
                f"has less than {_LARGEST_FILE // 2**20}"
            )
        # The mark that Excel puts in front of UTF-8 is no part of the first cell.
        with path.open(encoding="utf-8-sig", newline="") as file:
            table, elements = _parsed(_rows(file))
        return group_from_table(torch.from_numpy(table), name or path.stem, elements)
    except UnicodeDecodeError as error:
        what = "it is not UTF-8 text. Save it as CSV in UTF-8"
        raise ValueError(f"{path} is no Cayley table: {what}.") from error
    except (ValueError, OSError, csv.Error) as error:
        raise ValueError(
            f"{path} is no Cayley table: {str(error).rstrip('.')}. It needs n rows of n integers 0 .. n-1, "
            "or names with a header: the elements in the first row and, in this order, in the first column."
        ) from error


def _rows(file: TextIO) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each line that is not empty. No more than one line is held at a time."""
    number, delimiter = 0, ""
    while line := file.readline(_LONGEST_LINE + 1):
        number += 1
        if len(line) > _LONGEST_LINE:
            raise ValueError(f"line {number} is longer than {_LONGEST_LINE} characters")
        if not line.strip():
            continue
        delimiter = delimiter or max(",;\t", key=line.count)
        # Line by line and strict, so that a quote left open ends here and not at the end of the file.
        cells = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, strict=True))]
        if len(cells) > LARGEST_ORDER + 1:
            raise ValueError(f"line {number} has {len(cells)} cells, more than {LARGEST_ORDER} elements need")
        if long := next((cell for cell in cells if len(cell) > _LONGEST_CELL), None):
            raise ValueError(f"line {number} has a cell of {len(long)} characters, more than {_LONGEST_CELL}")
        yield number, cells


def _parsed(rows: Iterator[tuple[int, list[str]]]) -> tuple[np.ndarray, list[str] | None]:
    first = next(rows, None)
    if first is None:
        raise ValueError("it is empty")
    width = len(first[1])
    elements = None if all(_is_integer(cell) for cell in first[1]) else first[1][1:]
    n = width if elements is None else width - 1
    if elements is None:
        rows = itertools.chain([first], rows)
    elif len(set(elements)) < n:
        twice = next(element for element in elements if elements.count(element) > 1)
        raise ValueError(f"the header names {twice!r} twice")
    index = {element: i for i, element in enumerate(elements or ())}
    table = np.zeros((n, n), dtype=np.int64)
    n_rows = 0
    for number, cells in rows:
        if len(cells) != width:
            raise ValueError(f"line {number} has {len(cells)} cells where the first has {width}")
        if n_rows == n:
            raise ValueError(f"it has more than {n} rows for {n} columns")
        if elements is not None and cells[0] != elements[n_rows]:
            raise ValueError(
                f"line {number} is that of {cells[0]!r} where the header has {elements[n_rows]!r}"
            )
        for column, cell in enumerate(cells if elements is None else cells[1:]):
            if elements is None and not _is_integer(cell):
                raise ValueError(f"line {number} holds {cell!r} where the first holds integers")
            if elements is not None and cell not in index:
                raise ValueError(f"line {number} holds {cell!r}, which the header does not name")
            table[n_rows, column] = int(cell) if elements is None else index[cell]
        n_rows += 1
    if n_rows < n or n == 0:
        raise ValueError(f"it has {n_rows} rows for {n} columns")
    return table, elements


def _is_integer(cell: str) -> bool:
    # Up to 18 digits fit into 64 bits.
    return re.fullmatch(r"[+-]?[0-9]{1,18}", cell) is not None
