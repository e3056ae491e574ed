"""Every axiom that a table can break, every way in which a file can be no table, and the tables that are accepted."""

import itertools
import os
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interp.mathematics import cayley_tables
from interp.mathematics.cayley_tables import group_from_table, read_cayley_table
from interp.mathematics.groups import conjugacy_classes, named_group

KLEIN = [[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]]
# Every element is its own inverse: in a group, five elements cannot be.
LOOP = [[0, 1, 2, 3, 4], [1, 0, 3, 4, 2], [2, 4, 0, 1, 3], [3, 2, 4, 0, 1], [4, 3, 1, 2, 0]]


@given(st.sampled_from(["C6", "S3", "D4", "Q8", "A4", "S3xC2"]), st.randoms(use_true_random=False))
def test_a_group_is_accepted_in_any_order_of_its_elements(name, random):
    group = named_group(name)
    order = list(range(group.order))
    random.shuffle(order)
    place = torch.tensor(order).argsort()
    names = [group.elements[i] for i in order]
    shuffled = group_from_table(place[group.table[order][:, order]], "shuffled", names)
    assert shuffled.elements[shuffled.identity] == group.elements[group.identity]
    assert [shuffled.elements[i] for i in shuffled.inverse] == [
        group.elements[i] for i in group.inverse[order]
    ]
    assert shuffled.is_abelian == group.is_abelian and shuffled.name == "shuffled"
    assert sorted(conjugacy_classes(shuffled).bincount().tolist()) == sorted(
        conjugacy_classes(group).bincount().tolist()
    )


def test_elements_are_their_indices_unless_named_and_the_table_is_a_copy():
    for dtype in (torch.uint8, torch.int32, torch.int64):
        table = torch.tensor([[0, 1], [1, 0]], dtype=dtype)
        group = group_from_table(table, "two")
        table[0, 0] = 1
        assert group.table.tolist() == [[0, 1], [1, 0]] and group.table.dtype == torch.int64
        assert group.elements == ("0", "1")
    assert group_from_table(torch.tensor([[0]]), "one").order == 1


BAD_TABLES = [
    ([[0, 1, 2], [1, 2, 0]], r"as many rows as columns, at least 1, got \(2, 3\)"),
    ([], r"as many rows as columns, at least 1, got \(0,\)"),
    ([[0.0]], "needs integers, got torch.float32"),
    ([[True]], "needs integers, got torch.bool"),
    ([[0, 1, 2], [1, 2, 0], [2, 0, 3]], "entries 0 .. 2, got 2∘2 = 3, which is no element"),
    ([[0, 1], [-1, 0]], "entries 0 .. 1, got 1∘0 = -1, which is no element"),
    # 0 is an identity from the left alone.
    ([[0, 1, 2], [2, 0, 1], [1, 2, 0]], "The nearest is 0, but 0∘1 = 1 and 1∘0 = 2"),
    ([[1, 0], [0, 0]], "identity e with e∘x = x∘e = x for every x, got none"),
    ([[0, 1, 2], [1, 1, 1], [2, 1, 0]], "got 1∘0 = 1∘1 = 1: row 1 lacks an element"),
    # Rows are permutations, columns are not.
    ([[0, 1, 2], [1, 2, 0], [2, 1, 0]], "got 0∘1 = 2∘1 = 1: column 1 lacks an element"),
    (LOOP, r"an associative operation, got \(1∘1\)∘2 = 2 but 1∘\(1∘2\) = 4"),
]


@pytest.mark.parametrize(("table", "message"), BAD_TABLES)
def test_every_broken_axiom_is_named(table, message):
    with pytest.raises(ValueError, match=message):
        group_from_table(torch.tensor(table), "bad")


def test_elements_at_fault_are_called_by_their_names():
    with pytest.raises(ValueError, match="got a∘e = a∘a = a: row a lacks"):
        group_from_table(torch.tensor([[0, 1], [1, 1]]), "bad", ["e", "a"])
    for names, what in (
        (["e"], "1 names, 1 of"),
        (["e", "e"], "2 names, 1 of"),
        (["e", "a", "b"], "3 names"),
    ):
        with pytest.raises(ValueError, match=f"2 elements needs a different name for each, got {what}"):
            group_from_table(torch.tensor([[0, 1], [1, 0]]), "bad", names)


@pytest.mark.parametrize(("name", "n_involutions"), [("C2xC2xC2", 7), ("Q8", 1), ("D6", 7)])
@pytest.mark.parametrize("chunk", [2**22, 1])
def test_every_square_turned_in_a_group_breaks_associativity_where_the_message_says(
    name, n_involutions, chunk, monkeypatch
):
    monkeypatch.setattr(cayley_tables, "_N_AT_ONCE", chunk)
    group, n_turned = named_group(name), 0
    rows_and_columns = itertools.product(itertools.combinations(range(1, group.order), 2), repeat=2)
    for (a, b), (c, d) in rows_and_columns:
        table = group.table.clone()
        if table[a, c] != table[b, d] or table[a, d] != table[b, c]:
            continue
        # Rows, columns and identity are as before: a group but for one law.
        table[[a, a, b, b], [c, d, c, d]] = table[[a, a, b, b], [d, c, d, c]]
        with pytest.raises(ValueError, match="associative operation") as error:
            group_from_table(table, "turned")
        x, y, z, left, x2, y2, z2, right = map(int, re.findall(r"\d+", str(error.value)))
        assert (x, y, z) == (x2, y2, z2) and left != right
        assert table[table[x, y], z] == left and table[x, table[y, z]] == right
        n_turned += 1
    # Each involution makes n^2 / 4 squares, of which n / 2 lie in the first row and as many in the first column.
    assert n_turned == n_involutions * (group.order**2 / 4 - group.order + 1)


def test_a_large_table_is_refused_by_its_size():
    with pytest.raises(ValueError, match="at most 5040 elements here, got 5041"):
        group_from_table(torch.zeros(1, 1, dtype=torch.int8).expand(5041, 5041), "large")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", " , "])
def test_files_of_integers_and_of_names_are_read(tmp_path, delimiter):
    group = named_group("S3")
    path = tmp_path / "six.csv"
    text = "\n\n".join(delimiter.join(map(str, row)) for row in group.table.tolist())
    # With the mark that Excel puts in front.
    path.write_text(text + "\n\n", encoding="utf-8-sig")
    read = read_cayley_table(path)
    assert read.name == "six" and torch.equal(read.table, group.table)
    assert read.elements == ("0", "1", "2", "3", "4", "5")

    # With quotes, and the line ends of Windows.
    names = ["1", "-1", "i", "-i"]
    rows = [["*", *names]] + [[names[a], *(names[b] for b in row)] for a, row in enumerate(KLEIN)]
    text = "\r\n".join(
        delimiter.join(f'"{cell}"' if delimiter == "," else cell for cell in row) for row in rows
    )
    path.write_text(text, encoding="utf-8")
    read = read_cayley_table(str(path), "Klein")
    assert read.name == "Klein" and read.elements == tuple(names)
    assert read.table.tolist() == KLEIN


BAD_FILES = {
    "empty": (b"", "it is empty"),
    "blank": (b"\n \n\n", "it is empty"),
    "ragged": (b"0,1,2\n1,2\n2,0,1", "line 2 has 2 cells where the first has 3"),
    "few rows": (b"0,1,2\n1,2,0\n", "it has 2 rows for 3 columns"),
    "many rows": (b"0,1\n1,0\n0,1\n", "it has more than 2 rows for 2 columns"),
    "a word": (b"hello", "it has 0 rows for 0 columns"),
    "a name": (b"0,1\n1,x", "line 2 holds 'x' where the first holds integers"),
    "no cell": (b"0,1\n1,", "line 2 holds '' where the first holds integers"),
    "a decimal": (b"0,1\n1,0.0", "line 2 holds '0.0' where"),
    "a long integer": (b"0,1\n1," + b"9" * 40, "line 2 holds '9999999999"),
    "unnamed": (b",e,a\ne,e,a\na,a,b", "line 3 holds 'b', which the header does not name"),
    "not in order": (b",e,a\na,a,e\ne,e,a", "line 2 is that of 'a' where the header has 'e'"),
    "twice": (b",e,e\ne,e,e\ne,e,e", "the header names 'e' twice"),
    "not UTF-8": (
        "0,1\n1,0\n# Gruppe für".encode("latin-1"),
        "it is not UTF-8 text. Save it as CSV in UTF-8",
    ),
    "UTF-16": ("0,1\n1,0".encode("utf-16"), "it is not UTF-8 text"),
    "open quote": (b'"0,1\n1,0\n', "unexpected end of data"),
    "wide": (b",".join([b"0"] * 5042), "line 1 has 5042 cells, more than 5040 elements need"),
    "long cell": (b"0,1\n1," + b"x" * 65, "line 2 has a cell of 65 characters, more than 64"),
    "long line": (b"0,1\n" + b" " * 400_000, "line 2 is longer than 327665 characters"),
    "no group": (b"0,1\n1,1\n", "got 1∘0 = 1∘1 = 1: row 1 lacks an element"),
    "no group, named": (b",e,a\ne,e,a\na,a,a\n", "got a∘e = a∘a = a: row a lacks an element"),
    "too large": (b",".join([b"0"] * 5041), "it has 1 rows for 5041 columns"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_files_that_are_no_table_are_refused(tmp_path, name):
    content, message = BAD_FILES[name]
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        read_cayley_table(path)
    text = str(error.value)
    assert text.startswith(f"{path} is no Cayley table: ") and message in text and len(text) < 500
    assert "UTF-8" in text or "It needs n rows of n integers 0 .. n-1, or names with a header" in text


def test_files_that_are_not_there_or_too_large_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no.csv is no Cayley table: it is not there"):
        read_cayley_table(tmp_path / "no.csv")
    with pytest.raises(ValueError, match="is no Cayley table: it is no regular file"):
        read_cayley_table(tmp_path)
    (tmp_path / "large.csv").touch()
    os.truncate(tmp_path / "large.csv", 2**29)
    message = "it has 512 MiB, a table of 5040 elements has less than 256"
    with pytest.raises(ValueError, match=message):
        read_cayley_table(tmp_path / "large.csv")


def test_a_file_that_the_system_refuses_is_refused(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "secret.csv").touch()
    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(ValueError, match=r"secret.csv is no Cayley table: .*Permission denied"):
        read_cayley_table(tmp_path / "secret.csv")
