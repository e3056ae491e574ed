"""Real images: they are the ones that they are called, the same from one config, and labels belong to their images."""

import csv
import gzip
import hashlib
import random
import re
import sys
from dataclasses import replace
from itertools import pairwise
from types import ModuleType

import numpy as np
import pytest
import torch

from interp.runs.config import config_from_json, config_to_json
from interp.runs.presets import images
from interp.runs.settings import with_settings
from interp.tasks import image_sources
from interp.tasks.data_edits import Shrink, with_split
from interp.tasks.drawn_rows import row_numbers
from interp.tasks.images import ImagesConfig


def make(**changes):
    return ImagesConfig(**{"n_train": 300, "n_test": 200, "split_seed": 0} | changes)


def table():
    """The file, read another way: whole numbers, row by row."""
    with gzip.open(image_sources.DIGITS, "rt") as file:
        return [[int(float(x)) for x in row] for row in csv.reader(file)]


def test_rows_are_those_of_the_file_in_the_order_drawn():
    rows, task = table(), make().task()
    order = random.Random(0).sample(range(1797), 500)
    pixels = [x for row in rows for x in row[:-1]]
    mean, std = np.mean(pixels), np.std(pixels)
    expected = (np.array([rows[i][:-1] for i in order]) - mean) / std
    # float32 has 24 bits: numbers up to 2 to within 2e-7.
    torch.testing.assert_close(task.inputs.double(), torch.from_numpy(expected), rtol=0, atol=3e-7)
    assert task.labels.tolist() == [rows[i][-1] for i in order]
    assert task.n_train == 300 and task.is_train[:300].all() and task.questions.is_last
    assert len(set(order)) == 500 and task.structure is None


def test_the_whole_source_has_the_published_counts_mean_and_spread():
    features, digits = image_sources.labelled_images("digits")
    # As scikit-learn documents them: 1797 rows, about 180 of each digit, pixels 0 .. 16.
    assert digits.bincount().tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    # Sums of 115,008 numbers in float32's 24 bits.
    assert features.double().mean().abs() < 1e-6 and abs(features.double().std(correction=0) - 1) < 1e-6
    assert len(features.unique(dim=0)) == 1797


def nearest_neighbour_accuracy(task):
    train, test = (task.of_split(split) for split in ("train", "test"))
    nearest = torch.cdist(test.inputs, train.inputs).argmin(1)
    return (train.labels[nearest] == test.labels).double().mean().item()


def test_labels_belong_to_their_images_and_random_ones_do_not():
    # One nearest neighbour of 300 is right on 19 of 20 digits, and by chance on one of ten: 200 rows, so +- 0.06.
    assert nearest_neighbour_accuracy(make().task()) > 0.9
    assert nearest_neighbour_accuracy(make(corrupted_fraction=1.0).task()) < 0.1


def test_label_noise_is_in_train_alone_and_always_wrong():
    task = make(corrupted_fraction=0.15).task()
    assert int(task.is_corrupted.sum()) == 45 and not task.is_corrupted[300:].any()
    assert torch.equal(task.labels != task.true_labels, task.is_corrupted)
    assert torch.equal(task.true_labels, make().task().labels)


def rows_of(task, is_train):
    return [tuple(row) for row in task.inputs[task.split == is_train].tolist()]


# Sizes on both sides of the 342 rows from which Python draws a sample of 1797 in its other way.
@pytest.mark.parametrize("sizes", [(10, 60, 200, 1700)])
def test_nested_rows_keep_the_test_rows_and_smaller_train_sets_are_parts_of_larger_ones(sizes):
    tasks = [make(n_train=n, n_test=97, nested=True).task() for n in sizes]
    for smaller, larger in pairwise(tasks):
        assert rows_of(smaller, False) == rows_of(larger, False)
        assert rows_of(larger, True)[: smaller.n_train] == rows_of(smaller, True)
    assert len(set(rows_of(tasks[-1], True)) | set(rows_of(tasks[-1], False))) == 1797
    # As they were drawn before there was a choice, neither is so.
    drawn = [make(n_train=n, n_test=97).task() for n in sizes]
    assert rows_of(drawn[0], False) != rows_of(drawn[1], False)


def test_nested_rows_are_uniform():
    # Of 20 rows 5 are drawn, by 2000 seeds: each 500 times, within 5 standard deviations of sqrt(2000 / 4 * 3 / 4).
    config = make(n_train=3, n_test=2)
    counts = np.bincount(
        [
            row
            for seed in range(2000)
            for row in row_numbers(replace(config, split_seed=seed), 20, nested=True)
        ]
    )
    assert counts.sum() == 10_000 and (abs(counts - 500) < 97).all()


def test_edits_of_nested_rows_keep_the_rows():
    task = make(nested=True).task()
    smaller = Shrink(n=10)(task)
    assert torch.equal(smaller.inputs, task.inputs) and smaller.n_train == 10
    assert set(rows_of(smaller, True)) < set(rows_of(task, True))


def test_a_config_that_was_recorded_before_there_was_a_choice_is_written_as_it_was():
    def recorded(task):
        return config_to_json(replace(images().config(), task=task))

    before = recorded(make())
    assert "nested" not in before["task"] and not config_from_json(before, "a test").task.nested
    assert config_from_json(recorded(make(nested=True)), "a test").task.nested and images().task.nested


def test_the_seed_decides_the_rows_and_edits_keep_them():
    assert torch.equal(make().task().inputs, make().task().inputs)
    assert not torch.equal(make().task().inputs, make(split_seed=1).task().inputs)
    task = make().task()
    smaller = Shrink(n=10)(task)
    assert (smaller.n_train, smaller.n_examples) == (10, 500)
    again = with_split(task, ~task.split)
    assert torch.equal(again.inputs, task.inputs) and torch.equal(again.split, ~task.split)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_train": 1700}, "there are 1,797 of images of 'digits': got n_train=1,700 and n_test=200, 1,900 in all"),
        ({"n_test": 0}, "n_test of at least 1, got 0"),
        ({"split": "shuffle"}, "they need split 'drawn', got 'shuffle'"),
        ({"corrupted_fraction": -0.1}, "corrupted_fraction in [0, 1], got -0.1"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make(**changes)


def test_a_source_that_there_is_none_of_is_refused_as_typed():
    with pytest.raises(ValueError, match="--source: Input should be 'digits' or 'mnist1d'"):
        with_settings(images(), {"task.source": "mnist"}, {"task.source": "--source"})


@pytest.fixture
def fresh_sources():
    image_sources.labelled_images.cache_clear()
    yield
    image_sources.labelled_images.cache_clear()


def test_a_changed_file_is_noticed(fresh_sources, monkeypatch, tmp_path):
    changed = tmp_path / "digits.csv.gz"
    changed.write_bytes(gzip.compress(b"0,1\n"))
    monkeypatch.setattr(image_sources, "DIGITS", changed)
    with pytest.raises(
        ValueError, match=r"needs the SHA-256 09f66e6debde\.\.\., got .*It was changed: install"
    ):
        make().task()


def test_a_source_whose_package_is_missing_says_how_to_install_it(fresh_sources, monkeypatch):
    monkeypatch.setitem(sys.modules, "mnist1d.data", None)
    with pytest.raises(ValueError, match=r"need the package mnist1d, .*pip install 'grokscope\[mnist1d\]'"):
        make(source="mnist1d").task()


def stand_in(monkeypatch, n_rows):
    """A package that seeds every generator, as the real one does, and makes rows of its label."""

    def make_dataset(args):
        for seeded in (random.seed, np.random.seed, torch.manual_seed):
            seeded(args["seed"])
        digits = np.arange(n_rows) % 10
        features = digits[:, None] + 0.0 * np.random.standard_normal((n_rows, 40))
        n = n_rows * 4 // 5
        return {"x": features[:n], "x_test": features[n:], "y": digits[:n], "y_test": digits[n:]}

    data = ModuleType("mnist1d.data")
    data.get_dataset_args, data.make_dataset = lambda: {"seed": 42}, make_dataset
    monkeypatch.setitem(sys.modules, "mnist1d", ModuleType("mnist1d"))
    monkeypatch.setitem(sys.modules, "mnist1d.data", data)
    rows = np.arange(n_rows) % 10
    classes = hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()
    monkeypatch.setattr(image_sources, "MNIST1D_CLASSES_SHA256", classes)
    weights = np.cos(np.arange(n_rows * 40)).reshape(n_rows, 40)
    monkeypatch.setattr(image_sources, "MNIST1D_SUM", float((weights * rows[:, None]).sum()))


def test_rows_of_the_other_package_keep_their_labels_and_leave_generators_alone(fresh_sources, monkeypatch):
    stand_in(monkeypatch, 5000)
    # Python's own is restored too, but types are checked here with draws from it.
    before = np.random.get_state()[1].copy(), torch.random.get_rng_state()
    task = make(source="mnist1d").task()
    assert task.inputs.shape == (500, 40)
    # One mean and one spread of the source as a whole: the digits 0 .. 9 in equal shares, 4.5 and their own.
    expected = (task.labels.double() - 4.5) / np.std(range(10))
    torch.testing.assert_close(task.inputs[:, 7].double(), expected, rtol=0, atol=3e-7)
    assert (np.random.get_state()[1] == before[0]).all()
    assert torch.equal(torch.random.get_rng_state(), before[1])


# Ten times what the sum may be off, where the cosine is 1 and where it is -1.
@pytest.mark.parametrize("change", [{"features": (0, 0)}, {"features": (4999, 18)}, {"classes": 7}])
def test_other_rows_of_the_other_package_are_noticed(fresh_sources, monkeypatch, change):
    stand_in(monkeypatch, 5000)
    make_dataset = sys.modules["mnist1d.data"].make_dataset

    def changed(args):
        made = make_dataset(args)
        whole = {
            "features": np.concatenate([made["x"], made["x_test"]]),
            "classes": np.append(made["y"], made["y_test"]),
        }
        for name, place in change.items():
            whole[name][place] += 1 if name == "classes" else 1e-5
        return {"x": whole["features"][:4000], "x_test": whole["features"][4000:],
                "y": whole["classes"][:4000], "y_test": whole["classes"][4000:]}  # fmt: skip

    sys.modules["mnist1d.data"].make_dataset = changed
    with pytest.raises(ValueError, match=r"the rows that its version 0\.0\.2\.post1 makes"):
        make(source="mnist1d").task()


def test_the_package_of_the_authors_makes_what_is_expected(fresh_sources):
    pytest.importorskip("mnist1d")
    assert make(source="mnist1d").task().inputs.shape == (500, 40)


def test_another_version_of_the_other_package_is_noticed(fresh_sources, monkeypatch):
    stand_in(monkeypatch, 4000)
    with pytest.raises(ValueError, match="are 5000 rows of 40 features, got .4000, 40.*Another version"):
        make(source="mnist1d").task()
