"""A folder of tables gives back what was written, and says what it lacks."""

import json

import numpy as np
import pandas as pd
import pytest

from interp.tables import folder


def test_tables_come_back_bit_for_bit(tmp_path):
    table = pd.DataFrame({"step": [0, 1], "x": [0.1 + 0.2, 1e-300], "name": ["a", "b"]})
    folder.write_tables(tmp_path, {"t": table, "without_rows": table[:0]}, {"run": "r"})
    tables, about = folder.read_tables(tmp_path)
    pd.testing.assert_frame_equal(tables["t"], table, check_exact=True)
    assert list(tables) == ["t", "without_rows"]
    assert list(tables["without_rows"].columns) == ["step", "x", "name"] and not len(tables["without_rows"])
    assert about == {"run": "r"}
    (tmp_path / "t.csv").unlink()
    with pytest.raises(ValueError, match="t.csv is missing."):
        folder.read_tables(tmp_path)


def test_a_table_without_columns_comes_back(tmp_path):
    folder.write_tables(tmp_path, {"nothing": pd.DataFrame()}, {})
    tables, _ = folder.read_tables(tmp_path)
    assert tables["nothing"].shape == (0, 0)


def test_the_json_file_can_have_another_name(tmp_path):
    folder.write_tables(tmp_path, {"t": pd.DataFrame({"step": [3]})}, {"run": "r"}, file="summary.json")
    assert not (tmp_path / "about.json").exists()
    assert json.loads((tmp_path / "summary.json").read_text("utf-8")) == {"run": "r", "tables": ["t"]}
    tables, about = folder.read_tables(tmp_path, file="summary.json")
    assert tables["t"]["step"].tolist() == [3] and about == {"run": "r"}


def test_a_folder_without_tables_says_so(tmp_path):
    assert folder.read_about(tmp_path) is None
    with pytest.raises(ValueError, match="holds no tables: no about.json names them"):
        folder.read_tables(tmp_path)
    folder.write_about(tmp_path, {"run": "r"}, file="about.json")
    with pytest.raises(ValueError, match="holds no tables"):
        folder.read_tables(tmp_path)


def test_summaries_hold_json_only():
    value = {1: np.float64("nan"), "b": [np.int64(3), float("inf")], "c": np.array([1.5])}
    assert folder.clean(value) == {"1": None, "b": [3, None], "c": [1.5]}
