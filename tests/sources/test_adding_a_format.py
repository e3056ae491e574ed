"""A format is one file and one line: the worked example of docs/adding.md, and a layout of another family of tasks."""

import importlib.util
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import interp
from interp.checks.of_source import verify_source
from interp.commands.cli import app
from interp.snapshots.snapshot import Snapshot
from interp.sources import SourceError, SourceWarning, formats, import_run
from interp.sources.files.steps import Position
from interp.sources.formats.format import Beside, Format, json_with
from interp.sources.formats.network import Tensors, network

ROOT = Path(__file__).parents[2]
P, SHARE, SEED = 7, 0.5, 3


def example() -> str:
    text = (ROOT / "docs" / "adding.md").read_text("utf-8")
    section = text[text.index("## A checkpoint format") :]
    return re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]


@pytest.fixture
def added(tmp_path, monkeypatch):
    """The format of the documentation, as a file of its own and one more in the tuple."""
    file = tmp_path / "one_hot_mlp.py"
    file.write_text(example(), "utf-8")
    spec = importlib.util.spec_from_file_location("one_hot_mlp", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(formats, "FORMATS", (module.ONE_HOT_MLP, *formats.FORMATS))
    return module


def states(steps=(0, 100, 200), p=P, d_mlp=9):
    generator = torch.Generator().manual_seed(0)
    shapes = {"hidden": (d_mlp, 2 * p), "hidden_bias": (d_mlp,), "out": (p, d_mlp)}
    return {s: {n: torch.randn(shape, generator=generator) for n, shape in shapes.items()} for s in steps}


def write(folder, setup=None):
    folder.mkdir()
    (folder / "setup.json").write_text(
        json.dumps({"modulus": P, "share": SHARE, "seed": SEED} if setup is None else setup)
    )
    for step, state in states().items():
        torch.save(state, folder / f"step_{step}.pt")
    return folder


def test_the_example_of_the_documentation_is_recognised_listed_opened_and_imported(added, tmp_path):
    source = write(tmp_path / "source")
    listed = CliRunner().invoke(app, ["import", "--list"]).output
    assert "one-hot-mlp" in listed and "beside a setup.json with modulus, share and seed" in listed
    with pytest.warns(SourceWarning, match="Tensors do not show act_fn='relu'"):
        opened = interp.open_run(source)
    with pytest.warns(SourceWarning, match="Tensors do not show act_fn='relu'"):
        imported = import_run(source, tmp_path / "run", format="one-hot-mlp")
    pairs = torch.cartesian_prod(torch.arange(P), torch.arange(P))
    eye = torch.eye(P)
    for run in (opened, imported):
        assert run.steps == [0, 100, 200] and run.record.source["format"] == "one-hot-mlp"
        assert (run.config.task.operation, run.config.task.p) == ("add", P)
        state = states()[200]
        hidden = torch.cat([eye[pairs[:, 0]], eye[pairs[:, 1]]], 1) @ state["hidden"].T + state["hidden_bias"]
        want = hidden.relu() @ state["out"].T
        torch.testing.assert_close(Snapshot.of(run, 200).logits, want, rtol=1e-4, atol=1e-4)
        train = np.random.RandomState(SEED).permutation(P * P)[: round(SHARE * P * P)]
        assert sorted(run.task.is_train.nonzero().flatten().tolist()) == sorted(train.tolist())
        assert run.record.source["task"]["split"] == f"numpy's generator, seed {SEED}"
    assert verify_source(source).n_steps == 3


def test_without_the_line_nothing_is_known_of_the_same_folder_but_its_shapes(tmp_path):
    with (
        pytest.warns(SourceWarning, match="No task: the last checkpoint answers no known operation mod 7"),
        pytest.warns(SourceWarning, match="Tensors do not show act_fn='relu'"),
    ):
        run = interp.open_run(write(tmp_path / "source"))
    assert run.record.source["format"] == "mlp" and run.config.task is None


def test_what_the_example_cannot_take_is_named(added, tmp_path):
    source = write(tmp_path / "source", {"modulus": "7", "share": SHARE, "seed": SEED})
    with pytest.raises(SourceError, match=r"step_0\.pt needs a modulus of at least 2 .* got '7'"):
        interp.open_run(source)
    # Tensors of one word in another file are no weights, with a format that knows such names too.
    (source / "setup.json").write_text(json.dumps({"modulus": P, "share": SHARE, "seed": SEED}))
    torch.save({"losses": torch.rand(3, 3), "sparse": torch.eye(3).to_sparse()}, source / "curves.pt")
    for format in ("auto", "one-hot-mlp"):
        with pytest.warns(SourceWarning, match="Tensors do not show act_fn"):
            run = interp.open_run(source, format=format)
        assert run.steps == [0, 100, 200] and run.record.source["without_weights"] == 1
    # Those of the format are checked as all others are.
    huge = {**states()[100], "hidden": torch.zeros(1).expand(10**6, 2 * P)}
    torch.save(huge, source / "step_100.pt")
    with (
        pytest.warns(SourceWarning, match=r"Left out: .*step_100\.pt, hidden: it claims a tensor"),
        pytest.warns(SourceWarning, match="Tensors do not show act_fn"),
    ):
        assert interp.open_run(source).steps == [0, 200]
    (source / "step_100.pt").unlink()
    torch.save({**states()[0], "more": torch.zeros(2)}, source / "step_0.pt")
    with pytest.raises(SourceError, match=r"tensors that its format does not know: more"):
        interp.open_run(source)


# A layout of another family: cfg.json beside model.pt, checkpoints in a folder of their own, saved on a GPU ----------


def cfg_beside(source):
    folder = source if source.is_dir() else source.parent
    folder = folder.parent if folder.name == "checkpoints" else folder
    cfg = json_with(folder / "cfg.json", "group", "num_epochs")
    there = folder / "checkpoints"
    return Beside(cfg, there if source == folder and there.is_dir() else source) if cfg else None


def from_group_mlp(found, stated):
    t = Tensors(found.tensors, "", found.where)
    w_x = t.take("W_x", None, None)
    n, width = w_x.shape
    w_y, w = t.take("W_y", n, width), t.take("W", 2 * width, None)
    weights = {"blocks.0.mlp.W_in": torch.cat([w_x @ w[:width], w_y @ w[width:]])}
    weights["unembed.W_U"] = t.take("W_U", w.shape[1], n)
    shown = {
        "n_layers": 1, "d_model": n, "n_heads": 0, "d_head": 0, "d_mlp": w.shape[1], "n_ctx": 2, "d_vocab": n,
        "d_vocab_out": n, "positions": "none", "one_hot_embed": True, "normalization_type": None,
        "norm_placement": "pre", "tied_unembed": False, "attention_bias": False, "mlp_bias": False,
        "unembed_bias": False, "attention_rate": 1.0, "attention_dir": "causal", "act_fn": "relu",
    }  # fmt: skip
    return network(
        t, weights, shown, stated, {}, {"family": "groups", "group": f"S{found.beside['group_parameter']}"}
    )


GROUP_MLP = Format(
    name="group-mlp",
    recognized_by="W_x, W_y, W and W_U beside a cfg.json",
    recognizes=lambda found: "group" in found.beside and {"W_x", "W_y"} <= found.tensors.keys(),
    network=from_group_mlp,
    beside=cfg_beside,
    position=lambda found: Position(found.beside["num_epochs"] - 1, "epoch"),
)


def save_as_on_a_gpu(state, path):
    """A file of torch.save whose tensors lay on a GPU: its pickle says so."""
    torch.save(state, path)
    with zipfile.ZipFile(path) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries:
            archive.writestr(name, data.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0"))
    assert b"cuda:0" in path.read_bytes()


def group_state(seed, n=6, width=5, d_mlp=8):
    generator = torch.Generator().manual_seed(seed)
    shapes = {"W_x": (n, width), "W_y": (n, width), "W": (2 * width, d_mlp), "W_U": (d_mlp, n)}
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def write_groups(folder):
    (folder / "checkpoints").mkdir(parents=True)
    cfg = {
        "model": "OneLayerMLP",
        "group": "SymmetricGroup",
        "group_parameter": 3,
        "frac_train": 0.4,
        "seed": 1,
    }
    (folder / "cfg.json").write_text(json.dumps({**cfg, "num_epochs": 21}))
    for epoch in (0, 10, 20):
        save_as_on_a_gpu(group_state(epoch), folder / "checkpoints" / f"epoch_{epoch}.pt")
    save_as_on_a_gpu(group_state(20), folder / "model.pt")
    rows = [f"{epoch},{2 - epoch / 20},{2 - epoch / 40},0.5,0.25" for epoch in (0, 10, 20)]
    header = "epoch,train_loss,test_loss,train_acc,test_acc"
    (folder / "metrics.csv").write_text("\n".join([header, *rows]))
    return folder


def test_a_format_may_show_a_task_of_another_family_beside_checkpoints_of_a_gpu(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "FORMATS", (*formats.FORMATS, GROUP_MLP))
    source = write_groups(tmp_path / "S3")
    run = import_run(source, tmp_path / "run")
    assert run.steps == [0, 10, 20] and run.unit == "epoch"
    assert (run.config.task.family, run.config.task.group, run.config.task.split) == (
        "groups",
        "S3",
        "unknown",
    )
    assert run.task.inputs.shape == (36, 2) and run.record.source["config"]["group_parameter"] == 3
    assert run.history()[["step", "test_accuracy"]].to_numpy().tolist() == [[0, 0.25], [10, 0.25], [20, 0.25]]
    state = group_state(10)
    want = torch.cat([state["W_x"] @ state["W"][:5], state["W_y"] @ state["W"][5:]])
    torch.testing.assert_close(run.step_weights(10)["blocks.0.mlp.W_in"], want, rtol=0, atol=0)
    assert {w.device.type for w in run.step_weights(10).values()} == {"cpu"}
    final = interp.open_run(source / "model.pt")
    assert final.steps == [20] and final.unit == "epoch"
    report = verify_source(source)
    assert report.n_steps == 3 and not [f for f in report.findings if f.level == "problem"]


def test_no_module_but_its_own_names_a_format():
    package = ROOT / "interp"
    outside = [f for f in package.rglob("*.py") if package / "sources" / "formats" not in f.parents]
    assert len(outside) > 50
    for file in outside:
        text = file.read_text("utf-8")
        named = set(re.findall(r"interp\.sources\.formats(?:\.| import )(\w+)", text))
        assert named <= {"FORMATS", "format", "network"}, f"{file} imports {named}"
        if {"sources", "checks"} & set(file.relative_to(package).parts):
            quoted = [format.name for format in formats.FORMATS if f'"{format.name}"' in text]
            assert not quoted, f"{file} names {quoted}"
