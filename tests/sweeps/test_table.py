"""The row of a run in the table of a sweep."""

from interp.sweeps.table import OF_PREDICTABLE, row_of, runs_table
from interp.training.train import train
from tests.tiny import tiny_config


def test_of_a_task_that_asks_more_the_accuracies_of_what_is_predictable_stand_beside_those_of_all(tmp_path):
    run = train(tiny_config(20), tmp_path / "r", threads=1)
    assert not set(OF_PREDICTABLE) & set(row_of(run))
    history = run.history()
    history["train_predictable_accuracy"], history["test_predictable_accuracy"] = 0.75, 0.5
    history.to_parquet(run.path / "history.parquet", index=False)
    table = runs_table([row_of(run)])
    assert table[list(OF_PREDICTABLE)].iloc[0].tolist() == [0.75, 0.5]
    assert table["test_accuracy"].iloc[0] == history["test_accuracy"].dropna().iloc[-1]
