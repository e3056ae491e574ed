"""Lists of train and test rows beside checkpoints: they give the split, in every form, and contradictions are named."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

import interp
from interp.checks.of_source import verify_source
from interp.sources import SourceError, SourceWarning, import_run
from interp.sources.records.splits import split_files

pytestmark = pytest.mark.filterwarnings("ignore::interp.sources.files.reading.SourceWarning")
P = 11


@pytest.fixture
def split(tiny_run):
    """Pairs, numbers and mask of the train and the test rows of the tiny run."""
    is_train = tiny_run.task.split
    pairs = torch.cartesian_prod(torch.arange(P), torch.arange(P))
    rows = torch.arange(P * P)
    return {"is_train": is_train, "train": pairs[is_train], "test": pairs[~is_train], "train_rows": rows[is_train],
            "test_rows": rows[~is_train]}  # fmt: skip


@pytest.fixture
def source(tiny_run, tmp_path):
    """Checkpoints under names and in a folder that say nothing of the split."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    for step in tiny_run.steps:
        torch.save(tiny_run.step_weights(step), folder / f"step_{step}.pt")
    return folder


def with_equals(pairs):
    return torch.nn.functional.pad(pairs, (0, 1), value=P)


def with_answers(pairs):
    return torch.cat([pairs, (pairs.sum(1, keepdim=True)) % P], 1)


def write_csv(file, values, header):
    pd.DataFrame(values.numpy()).to_csv(file, index=False, header=header)


FORMS = {
    "pairs.pt": lambda f, s: torch.save(s["train"], f / "train_data.pt"),
    "list of tuples.pt": lambda f, s: torch.save([tuple(x) for x in with_equals(s["train"]).tolist()], f / "train.pt"),
    "answers.pt": lambda f, s: torch.save(with_answers(s["train"]), f / "train_triples.pt"),
    "inputs and labels.pt": lambda f, s: torch.save((s["train"], s["train"].sum(1) % P), f / "train_data.pth"),
    "floats.pt": lambda f, s: torch.save(s["train"].float(), f / "train_data.pt"),
    "both.pt": lambda f, s: (
        torch.save(s["train"], f / "train_data.pt"), torch.save(s["test"], f / "test_data.pt"),
    ),
    "in a dict.pt": lambda f, s: torch.save({"train_idx": s["train_rows"], "test_idx": s["test_rows"]}, f / "split.pt"),
    "rows.npy": lambda f, s: np.save(f / "train_indices.npy", s["train_rows"].numpy()),
    "mask.npy": lambda f, s: np.save(f / "is_train.npy", s["is_train"].numpy()),
    "mask of numbers.npy": lambda f, s: np.save(f / "train_mask.npy", s["is_train"].numpy().astype("uint8")),
    "test alone.npy": lambda f, s: np.save(f / "test_indices.npy", s["test_rows"].numpy()),
    "rows.json": lambda f, s: (f / "train_indices.json").write_text(json.dumps(s["train_rows"].tolist())),
    "several.json": lambda f, s: (f / "splits.json").write_text(
        json.dumps({"train": s["train"].tolist(), "test": s["test"].tolist()})
    ),
    "headed.csv": lambda f, s: write_csv(f / "train_data.csv", with_answers(s["train"]), ["a", "b", "label"]),
    "plain.csv": lambda f, s: write_csv(f / "train_pairs.csv", s["train"], False),
    "one column.csv": lambda f, s: write_csv(f / "train_indices.csv", s["train_rows"], ["index"]),
    "a folder.pt": lambda f, s: ((f / "data").mkdir(), torch.save(s["train"], f / "data" / "train.pt")),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_split_and_is_no_checkpoint(tiny_run, source, split, form, tmp_path):
    FORMS[form](source, split)
    run = interp.open_run(source, task={"operation": "add"})
    assert torch.equal(run.task.split, split["is_train"]) and run.config.task.split == "explicit"
    assert run.steps == tiny_run.steps
    assert run.record.source["unreadable"] == {} and run.record.source["without_weights"] == 0
    listed = split_files(source)
    assert any(file.name in run.record.source["task"]["split"] for file in listed.files)
    report = verify_source(source)
    assert report.problems == [] and report.n_steps == len(tiny_run.steps)
    assert torch.equal(import_run(source, tmp_path / "run").task.split, split["is_train"])


def refused(source, match, **stated):
    with pytest.raises(SourceError, match=match):
        interp.open_run(source, **{"task": {"operation": "add"}} | stated)


def test_train_and_test_that_share_rows_are_named(source, split):
    torch.save(split["train"], source / "train_data.pt")
    np.save(source / "test_indices.npy", torch.cat([split["test_rows"], split["train_rows"][:3]]).numpy())
    a, b = split["train"][0].tolist()
    refused(source, rf"train_data\.pt and .*test_indices\.npy have 3 rows in common, first \({a}, {b}\)")


def test_two_lists_of_train_rows_that_differ_are_named(source, split):
    torch.save(split["train"], source / "train_data.pt")
    np.save(source / "train_indices.npy", split["train_rows"][1:].numpy())
    refused(
        source,
        r"train_(data\.pt|indices\.npy) and .* list different train rows \(\d+ and \d+, 59 of them the same",
    )


def test_a_list_inside_the_checkpoints_counts_too(tiny_run, source, split):
    content = {"model": tiny_run.step_weights(0), "train_indices": split["train_rows"][1:], "step": 0}
    torch.save(content, source / "step_0.pt")
    np.save(source / "train_indices.npy", split["train_rows"].numpy())
    refused(source, r"step_0\.pt \(train_indices\) and .*train_indices\.npy list different train rows")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            torch.tensor([[0, 1], [3, P]]),
            r"train_data.pt names as train rows \(3, 11\), which is no row of add mod 11",
        ),
        (torch.tensor([0, 121]), r"train_data.pt names as train rows \(11, 0\), which is no row"),
        (torch.ones(120, dtype=torch.bool), "one boolean for each of 120 rows, add mod 11 has 121"),
        (
            torch.ones(121, dtype=torch.bool),
            "makes 121 of 121 rows of add mod 11 train: both parts need rows",
        ),
        (
            torch.tensor([[0, 1, 1], [2, 3, 6]]),
            r"lists \(2, 3, 6\), where the answer of add mod 11 is 5 \(1 rows",
        ),
    ],
)
def test_lists_that_do_not_fit_the_task_are_refused(source, values, message):
    torch.save(values, source / "train_data.pt")
    refused(source, message)


def test_rows_in_neither_part_are_said(source, split):
    torch.save(split["train"], source / "train_data.pt")
    torch.save(split["test"][4:], source / "test_data.pt")
    with pytest.warns(
        SourceWarning, match="4 rows are listed neither as train nor as test .*they count as test"
    ):
        run = interp.open_run(source, task={"operation": "add"})
    assert torch.equal(run.task.split, split["is_train"])


def test_exchanged_lists_are_seen_by_what_is_memorized(source, split):
    torch.save(split["test"], source / "train_data.pt")
    refused(
        source, r"train_data.pt lists as train rows those that the network has not memorized: its loss is"
    )


def other_rows(split):
    return torch.randperm(P * P, generator=torch.Generator().manual_seed(77))[: len(split["train"])]


def test_other_rows_are_seen_by_a_known_split_that_is_memorized(source, split):
    np.save(source / "train_indices.npy", other_rows(split).numpy())
    told = r"train_indices\.npy does not list the rows .* memorized: those are 50% drawn by split='shuffle' with seed 0"
    refused(source, told)


def test_other_rows_are_seen_by_the_log(tiny_run, source, split):
    np.save(source / "train_indices.npy", other_rows(split).numpy())
    tiny_run.history().to_csv(source / "log.csv", index=False)
    refused(
        source,
        r"train_indices\.npy does not list the rows .* trained on: at step \d+ its loss is .*log\.csv says",
    )
    np.save(source / "train_indices.npy", split["train_rows"].numpy())
    run = interp.open_run(source, task={"operation": "add"})
    assert torch.equal(run.task.split, split["is_train"])
    assert verify_source(source).problems == []


def test_a_statement_agrees_or_is_said_to_override(source, split):
    np.save(source / "train_indices.npy", split["train_rows"].numpy())
    rows = split["train_rows"].tolist()
    same = {"operation": "add", "split": "shuffle", "split_seed": 0, "train_fraction": 0.5}
    assert interp.open_run(source, task=same).config.task.split == "shuffle"
    assert torch.equal(interp.open_run(source, train_indices=rows).task.split, split["is_train"])
    other = same | {"split_seed": 1}
    refused(
        source,
        r"train_indices\.npy lists 60 train rows, of which split='shuffle' \(--split\) has",
        task=other,
    )
    refused(
        source,
        r"of which train_indices has 59 .* override_split=True \(--override-split\)",
        train_indices=rows[1:],
    )
    run = interp.open_run(source, task=other, override_split=True)
    assert run.config.task.split_seed == 1 and not torch.equal(run.task.split, split["is_train"])
    with pytest.raises(ValueError, match="State either train_indices or split='shuffle'"):
        interp.open_run(source, task=same, train_indices=rows)


def test_what_cannot_be_read_is_said_and_is_no_checkpoint(tiny_run, source):
    import pickle

    (source / "train_data.pkl").write_bytes(pickle.dumps([(0, 1)]))
    (source / "test_indices.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00{'descr': '<i8', 'fortran_order': False, "
                                              b"'shape': (100000000000,), }".ljust(128) + b"\n")  # fmt: skip
    (source / "train_pairs.json").write_text("[[0, 1], [2")
    with (
        pytest.warns(SourceWarning, match=r"Not taken as the split: .*train_data\.pkl is a plain pickle"),
        pytest.warns(
            SourceWarning, match=r"Not taken as the split: .*test_indices\.npy is no array of numbers"
        ),
        pytest.warns(
            SourceWarning, match=r"Not taken as the split: .*train_pairs\.json is not readable JSON"
        ),
    ):
        run = interp.open_run(source, task={"operation": "add"})
    assert run.steps == tiny_run.steps and run.record.source["unreadable"] == {}
    assert run.config.task.split == "shuffle"


def test_a_checkpoint_is_one_whatever_its_name(tiny_run, tmp_path):
    torch.save({"model": tiny_run.step_weights(50), "step": 50}, tmp_path / "train.pt")
    (tmp_path / "train.csv").write_text("step,train_loss\n50,0.5\n")
    nested = [1]
    for _ in range(60):
        nested = [nested, nested]
    torch.save({"train": nested}, tmp_path / "data.pt")
    run = interp.open_run(tmp_path, task={"operation": "add"})
    assert run.steps == [50] and run.history()["train_loss"].tolist() == [0.5]
