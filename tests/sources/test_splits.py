"""Lists of train and test rows beside checkpoints: they give the split, in every form, and contradictions are named."""

import json
import math
import re
import warnings

import numpy as np
import pandas as pd
import pytest
import torch

import interp
from interp.checks.of_source import verify_source
from interp.sources import SourceError, SourceWarning, import_run, memorized
from interp.sources.records.splits import split_files
from interp.training.train import train
from tests.hand_built import clock, memorizer, random_network
from tests.thinned import thinned
from tests.tiny import tiny_config

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


@pytest.mark.parametrize("form", thinned(FORMS, 3))
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


SEEMS_NOT = "seems not to list the rows that the network was trained on"


@pytest.fixture
def unknown_split(monkeypatch):
    """The generator and seed of the tiny run's split are none of those that are tried."""
    monkeypatch.setattr(memorized, "_SEEDS", (999,))


def warned(source, values):
    """What is warned of the list when the source is opened with it."""
    np.save(source / "train_indices.npy", values.numpy())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run = interp.open_run(source, task={"operation": "add"})
    assert torch.equal(run.task.split.nonzero().squeeze(1), values.sort().values)
    return [str(w.message) for w in caught if SEEMS_NOT in str(w.message)]


def test_other_rows_are_seen_by_certainty_where_nothing_names_the_right_ones(
    tiny_run, source, split, unknown_split
):
    (text,) = warned(source, other_rows(split))
    step = int(re.search(r"train_indices\.npy seems not .*: at step (\d+)", text)[1])
    task = tiny_run.config.task.task()
    is_right = tiny_run.model(step)(task.inputs)[:, -1].argmax(-1) == task.labels
    is_listed = torch.zeros(P * P, dtype=torch.bool).index_fill(0, other_rows(split), True)
    share, rest = (is_right[m].double().mean() for m in (is_listed, ~is_listed))
    assert f"answers {share:.1%} of them and {rest:.1%} of the others right" in text
    assert warned(source, split["train_rows"]) == []


def test_rows_are_not_doubted_before_a_network_has_memorized(tiny_run, source, split, unknown_split):
    for step in tiny_run.steps[1:]:
        (source / f"step_{step}.pt").unlink()
    assert warned(source, other_rows(split)) == []


@pytest.mark.parametrize(
    ("snapshot", "share"),
    [(clock([1, 2, 3, 4], p=P), 0.46), (memorizer(p=P), 0.46), (random_network(p=P), 0.1)],
)
def test_rows_are_not_doubted_where_a_network_is_unsure_of_what_it_gets_wrong(
    tmp_path, split, unknown_split, snapshot, share
):
    torch.save(dict(snapshot.weights), tmp_path / "step_5.pt")
    assert warned(tmp_path, other_rows(split)) == []
    run = interp.open_run(tmp_path, task={"operation": "add"})
    is_right = memorized._certainty(run.config.model, run.step_weights(5), run.task)[1]
    assert float(is_right.mean()) == pytest.approx(share, abs=0.08)


@pytest.mark.parametrize(
    "task",
    [{"train_fraction": 0.9}, {"train_fraction": 0.8, "corrupted_fraction": 0.3}],
    ids=["together", "corrupted"],
)
def test_the_right_rows_are_not_doubted_at_any_checkpoint(tmp_path, unknown_split, task):
    run = train(tiny_config(200, task=task | {"split_seed": 77}), tmp_path / "own", threads=1)
    rows = run.task.split.nonzero().squeeze(1)
    for steps in ([*run.steps], *([step] for step in run.steps[1:])):
        folder = tmp_path / f"from_{steps[0]}_to_{steps[-1]}"
        folder.mkdir()
        for step in steps:
            torch.save(run.step_weights(step), folder / f"step_{step}.pt")
        assert warned(folder, rows) == []


@pytest.mark.parametrize(("wrong_of_others", "is_doubted"), [(0.0, False), (0.2, True)])
def test_corrupted_train_rows_make_no_list_doubtful_once_the_others_are_right(
    tiny_run, split, monkeypatch, wrong_of_others, is_doubted
):
    is_wrong = torch.zeros(P * P, dtype=torch.bool)
    for rows, share in ((split["train_rows"], 0.2), (split["test_rows"], wrong_of_others)):
        is_wrong[rows[: int(share * len(rows))]] = True
    certain = (torch.full((P * P,), 0.01), (~is_wrong).double())
    monkeypatch.setattr(memorized, "_certainty", lambda *_: certain)
    listed, losses = (split["is_train"], "the list"), {50: torch.where(is_wrong, 9.0, 0.001)}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        memorized._warn_of_surprise(tiny_run, listed, losses, tiny_run.task, tiny_run.config.model)
    assert len(caught) == is_doubted


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


def column(*values):
    return torch.tensor(values)


WRONG = {
    "half bad": ({"train": [0, 1, "x"], "test": [3]}, r"split\.json \(train\) .* train rows and holds 'x' at place 2,"),
    "two kinds": ({"train": [0, [1, 2]]}, r"split\.json \(train\) .* holds both 0 and \[1, 2\]"),
    "huge": ({"train": [0, 10**30]}, r"split\.json \(train\) .* holds numbers of dtype object"),
    "bad test rows": ({"train": [0, 1], "test": [3, -1]}, r"split\.json \(test\) .* test rows and holds -1, which"),
    "fractions": (column(0.5, 1.5), r"train_indices\.pt .* train rows and holds 0\.5, which is no whole number from 0"),
    "negative": (column(0, 5, -1), r"train_indices\.pt .* holds -1, which is no whole number from 0"),
    "infinite": (column(0, math.inf), r"train_indices\.pt .* holds inf, which is no whole number from 0"),
    "half floats": (column(0, 1).bfloat16(), r"train_indices\.pt .* holds numbers of dtype torch\.bfloat16"),
    "across": (torch.zeros(2, 40, dtype=torch.long), r"has the shape \(2, 40\), where each row .*: transpose it\."),
    "four columns": (torch.zeros(40, 4, dtype=torch.long), r"has the shape \(40, 4\), where each row .* \(a, b\)\."),
    "empty": (column(), r"train_indices\.pt should list train rows and is empty"),
}  # fmt: skip


def write_listed(folder, content):
    if isinstance(content, dict):
        (folder / "split.json").write_text(json.dumps(content))
    else:
        torch.save(content, folder / "train_indices.pt")


@pytest.mark.parametrize("case", WRONG)
def test_what_is_called_a_list_of_rows_and_is_none_is_refused_unless_overridden(source, split, case):
    content, message = WRONG[case]
    write_listed(source, content)
    refused(source, message)
    rows = split["train_rows"].tolist()
    refused(source, message, train_indices=rows)
    run = interp.open_run(source, train_indices=rows, override_split=True)
    assert torch.equal(run.task.split, split["is_train"])


@pytest.mark.parametrize("value", [1.5, math.nan, math.inf])
def test_a_list_inside_a_checkpoint_that_is_none_is_refused(tiny_run, source, value):
    content = {"model": tiny_run.step_weights(0), "train_indices": [0, value], "step": 0}
    torch.save(content, source / "step_0.pt")
    refused(
        source, rf"step_0\.pt \(train_indices\) should list train rows and holds {value}, which is no whole"
    )


def test_what_may_be_something_else_is_no_error(tiny_run, source):
    content = {"model": tiny_run.step_weights(0), "train": [0.5, 0.25], "test_data": "path", "step": 0}
    torch.save(content, source / "step_0.pt")
    (source / "train.csv").write_text("step,train_loss\n50,0.5\n")
    (source / "data.json").write_text('{"train": [2.5, 0.25], "name": "x"}')
    torch.save(torch.rand(7, 5), source / "test_data.pt")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run = interp.open_run(source, task={"operation": "add"})
    said = sorted(str(w.message) for w in caught if "Not taken as the split" in str(w.message))
    assert len(said) == 2 and "data.json (train) holds 2.5" in said[0] and "test_data.pt holds 0." in said[1]
    assert run.config.task.split == "shuffle" and run.steps == tiny_run.steps


def test_a_split_that_lists_nothing_is_said(source, split):
    (source / "split.json").write_text('{"train": 0.5, "seed": 3}')
    with pytest.warns(
        SourceWarning, match=r"Not taken as the split: .*split\.json holds no list of rows under a name"
    ):
        interp.open_run(source, task={"operation": "add"})
    lists = {part: split[part].tolist() for part in ("train", "test")}
    (source / "split.json").write_text(json.dumps(lists | {"val": []}))
    assert torch.equal(interp.open_run(source).task.split, split["is_train"])


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
