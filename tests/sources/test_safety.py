"""Files of strangers: nothing runs, nothing is allocated on their word, nothing half imported, nothing changed."""

import argparse
import builtins
import json
import os
import pickle
import struct
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from interp.sources import SourceError, SourceWarning, import_run, importing
from interp.sources.files import reading
from interp.sources.formats.trainer_options import stated_by_config
from tests import foreign

KNOWN = {
    "task": {"operation": "add"},
    "model": {"act_fn": "relu", "attention_dir": "causal", "normalization_type": None},
}


def state(seed=0, d_mlp=16):
    return foreign.random_state(foreign.hooked_shapes(8, 3, 8, 2, 4, d_mlp, 1, 7), seed)


def refused(source, dest, match, **options):
    """The import fails with this message, leaves nothing beside the destination and the source as it was."""
    before = snapshot_of(source)
    beside = sorted(dest.parent.iterdir())
    with pytest.raises(SourceError, match=match):
        import_run(source, dest, **KNOWN | options)
    assert sorted(dest.parent.iterdir()) == beside
    assert snapshot_of(source) == before


def snapshot_of(path):
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return {f: (f.stat().st_mtime_ns, f.read_bytes()) for f in files if f.is_file()}


class Malicious:
    """Pickled as a call of this function with these arguments."""

    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("new", [True, False])
def test_code_is_not_run(tmp_path, new):
    mark = tmp_path / "ran"
    bad = Malicious(os.mkdir, str(mark))
    torch.save({"model": state(), "extra": bad}, tmp_path / "a.pt", _use_new_zipfile_serialization=new)
    refused(
        tmp_path / "a.pt",
        tmp_path / "run",
        r"a\.pt needs the type posix\.mkdir to be opened, which could run code.*torch.save",
    )
    torch.save(
        {"model": state(), "extra": Malicious(builtins.eval, f"__import__('os').mkdir({str(mark)!r})")},
        tmp_path / "b.pt",
    )
    refused(tmp_path / "b.pt", tmp_path / "run", r"needs the type builtins\.eval")
    (tmp_path / "c.pkl").write_bytes(pickle.dumps(bad))
    refused(tmp_path / "c.pkl", tmp_path / "run", r"c\.pkl is a plain pickle, which can run any code")
    assert not mark.exists()


def test_whole_modules_are_refused_and_left_out_of_folders(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    torch.save(torch.nn.Linear(2, 2), source / "init.pt")
    refused(source / "init.pt", tmp_path / "run", r"needs the type .*torch\.nn\.modules\.linear\.Linear")
    with pytest.warns(SourceWarning, match="Left out"):
        refused(source, tmp_path / "run", r"holds no checkpoint that can be read; init\.pt: .*Linear")
    torch.save(state(), source / "10.pt")
    with pytest.warns(SourceWarning, match=r"Left out: .*init\.pt needs the type"):
        run = import_run(source, tmp_path / "run", **KNOWN)
    assert run.steps == [10] and list(run.record.source["unreadable"]) == ["init.pt"]


def test_harmless_types_are_allowed(tmp_path):
    content = {"model": state(), "epoch": np.int64(4), "train_loss": np.float64(0.5), "curve": np.arange(3.0)}
    torch.save(content | {"args": argparse.Namespace(lr=0.1)}, tmp_path / "a.pt")
    run = import_run(tmp_path / "a.pt", tmp_path / "run", **KNOWN)
    assert run.steps == [4] and run.history().train_loss.tolist() == [0.5]
    assert run.record.source["config"] == {"lr": 0.1}


def test_config_classes_are_allowed_by_exact_name_only(tmp_path):
    for module, name in (
        ("transformer_lens.Other", "HookedTransformerConfig"),
        ("evil", "HookedTransformerConfig"),
    ):
        with foreign.lost_class(module, name) as lost:
            torch.save({"model": state(), "config": lost()}, tmp_path / "a.pt")
        refused(tmp_path / "a.pt", tmp_path / "run", rf"needs the type {module}\.{name}")


def test_numpy_shapes_take_no_memory(tmp_path):
    claims = Malicious(np.empty(0).__reduce__()[0], np.ndarray, (10**13,), b"b")
    torch.save({"model": state(), "x": claims}, tmp_path / "a.pt")
    refused(tmp_path / "a.pt", tmp_path / "run", "a numpy array claims a shape before its data")


class Array:
    """Pickled as a numpy array with this state."""

    def __init__(self, *state):
        self.state = state

    def __reduce__(self):
        return np.empty(0).__reduce__()[0], (np.ndarray, (0,), b"b"), self.state


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (Array(1, (1,), Malicious(np.dtype, "O8"), False, b"\x10" * 8), "of type 'O8' is not one of numbers"),
        (Array(1, (1,), np.dtype("U2"), False, b"\x10" * 8), "of type 'U2' is not one of numbers"),
        (Array(1, (2,), np.dtype("f8"), False, b"\x10" * 8), r"of shape \(2,\) has 1 numbers"),
        (Array(1, (2,), np.dtype("f8"), False, b"\x10" * 15), "lacks some of its data"),
        (Array(1, (-1, -1), np.dtype("f8"), False, b"\x10" * 8), r"of shape \(-1, -1\) has 1 numbers"),
        (Array(1, (1,), None, False, [1]), "has no type of numbers"),
        (Malicious(np.empty(0).__reduce__()[0], np.ndarray, (0,), b"b"), "has no data"),
        (Malicious(np.float64(0).__reduce__()[0], np.dtype("f8"), b"\x10"), "lacks some of its data"),
        (Malicious(np.float64(0).__reduce__()[0], np.dtype("O"), b"\x10" * 8), "of type 'O8'"),
    ],
)
def test_arrays_of_pointers_do_not_crash(tmp_path, array, message):
    torch.save({"model": state(), "curves": [(array,)]}, tmp_path / "a.pt")
    if "O8" in message:  # the types that could crash the process: first in one of their own
        code = "import sys, pathlib; from interp.sources.files import reading; reading.read(pathlib.Path(sys.argv[1]))"
        done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.pt"], capture_output=True, text=True)
        assert done.returncode == 1 and "SourceError" in done.stderr
    with pytest.raises(SourceError, match=rf"a\.pt: a numpy .*{message}"):
        reading.read(tmp_path / "a.pt")


def test_arrays_come_back_wherever_they_lie(tmp_path):
    grid = np.arange(6, dtype=">i4").reshape(2, 3)
    content = {
        "a": [(grid, np.asfortranarray(grid))],
        "n": argparse.Namespace(x=np.array([True])),
        "f": np.float16(0.5),
    }
    content["a"].append(content["a"])
    torch.save(content, tmp_path / "a.pt")
    found = reading.read(tmp_path / "a.pt")
    for array in found["a"][0]:
        np.testing.assert_array_equal(array, grid)
    assert found["a"][1] is found["a"] and found["n"].x.tolist() == [True] and found["f"] == 0.5


def test_sizes_are_checked_before_memory_is_taken(tmp_path):
    # A tensor of stride 0: four bytes that claim to be four terabytes.
    torch.save(state() | {"unembed.W_U": torch.zeros(1).expand(10**6, 10**6)}, tmp_path / "a.pt")
    refused(
        tmp_path / "a.pt", tmp_path / "run", r"unembed\.W_U: it claims a tensor of shape \(1000000, 1000000\)"
    )
    # A storage whose header claims 2^30 elements, in the zip format and in that of torch < 1.6.
    for new in (True, False):
        torch.save({"w.x": torch.arange(6.0)}, tmp_path / "b.pt", _use_new_zipfile_serialization=new)
        bomb = (tmp_path / "b.pt").read_bytes()
        if new:
            rewrite(tmp_path / "b.pt", lambda name, data: data.replace(b"K\x06", b"J\x00\x00\x00\x40"))
        else:
            (tmp_path / "b.pt").write_bytes(bomb.replace(b"K\x06", b"J\x00\x00\x00\x40"))
        refused(
            tmp_path / "b.pt",
            tmp_path / "run",
            r"b\.pt(: it claims a tensor of shape| is damaged or truncated)",
        )


def rewrite(path, change, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path) as archive:
        entries = [(name, change(name, archive.read(name))) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in entries:
            archive.writestr(name, data)


def test_zip_bomb_and_compressed_archives(tmp_path):
    torch.save(state(), tmp_path / "a.pt")
    rewrite(tmp_path / "a.pt", lambda name, data: data, zipfile.ZIP_DEFLATED)
    with pytest.warns(SourceWarning, match="does not say of which step"):
        run = import_run(tmp_path / "a.pt", tmp_path / "run", **KNOWN)
    torch.testing.assert_close(run.step_weights(0), state(), rtol=0, atol=0)  # torch would map it as garbage
    rewrite(
        tmp_path / "a.pt", lambda name, data: data + bytes(10**6) * name.endswith("/0"), zipfile.ZIP_DEFLATED
    )
    refused(tmp_path / "a.pt", tmp_path / "other", r"a\.pt claims 1,0\d\d,\d{3} bytes of content in")
    with zipfile.ZipFile(tmp_path / "b.pt", "w") as archive:
        archive.writestr("../../evil.txt", "x")
    refused(tmp_path / "b.pt", tmp_path / "other", r"is a zip archive, but not one of torch\.save")


def test_truncated_and_altered_files(tmp_path):
    torch.save(state(), tmp_path / "a.pt")
    whole = (tmp_path / "a.pt").read_bytes()
    for share in (0.3, 0.7, 0.99):
        (tmp_path / "a.pt").write_bytes(whole[: int(share * len(whole))])
        refused(tmp_path / "a.pt", tmp_path / "run", r"a\.pt is damaged or truncated.*Copy it again")
    save_file(state(), tmp_path / "b.safetensors")
    whole = (tmp_path / "b.safetensors").read_bytes()
    (tmp_path / "b.safetensors").write_bytes(whole[:-40])
    refused(tmp_path / "b.safetensors", tmp_path / "run", r"b\.safetensors is damaged or truncated")
    (tmp_path / "b.safetensors").write_bytes(struct.pack("<Q", 2**60) + whole[8:])
    refused(
        tmp_path / "b.safetensors", tmp_path / "run", r"claims a header of 1,152,921,504,606,846,976 bytes"
    )
    (tmp_path / "c.pt").write_bytes(b"")
    refused(tmp_path / "c.pt", tmp_path / "run", r"c\.pt is empty")
    (tmp_path / "d.pt").write_text("no checkpoint")
    refused(
        tmp_path / "d.pt", tmp_path / "run", r"d\.pt is neither a file of torch\.save nor a safetensors file"
    )


def test_truncated_file_in_a_folder(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for step in (0, 10):
        torch.save(state(step), source / f"{step}.pt")
    (source / "20.pt").write_bytes((source / "10.pt").read_bytes()[:500])
    with pytest.warns(SourceWarning, match=r"Left out: .*20\.pt is damaged or truncated"):
        run = import_run(source, tmp_path / "run", **KNOWN)
    assert run.steps == [0, 10] and list(run.record.source["unreadable"]) == ["20.pt"]


def test_wrong_tensors(tmp_path, annotations_off):
    wrong = {
        r"lacks blocks\.0\.mlp\.W_out: the state dict is incomplete": {"blocks.0.mlp.W_out": None},
        r"W_out of shape \(3, 3\), where \(16, 8\) fits its other tensors": {
            "blocks.0.mlp.W_out": torch.ones(3, 3)
        },
        r"does not know: blocks\.0\.attn\.rotary_sin": {"blocks.0.attn.rotary_sin": torch.ones(3)},
        r"neither causal nor full": {"blocks.0.attn.mask": torch.eye(3)},
        r"a form that is not a plain dense tensor": {"unembed.W_U": torch.ones(8, 7).to_sparse()},
    }
    for match, change in wrong.items():
        changed = {name: w for name, w in (state() | change).items() if w is not None}
        torch.save(changed, tmp_path / "a.pt")
        refused(tmp_path / "a.pt", tmp_path / "run", match)
    torch.save({"layer.weight": torch.ones(2, 2)}, tmp_path / "a.pt")
    refused(
        tmp_path / "a.pt", tmp_path / "run", r"of no known format:\n +'layer\.weight' \(2, 2\)\n.*adapter"
    )
    torch.save({"losses": [1.0, 2.0]}, tmp_path / "a.pt")
    refused(tmp_path / "a.pt", tmp_path / "run", r"a\.pt holds no state dict at its top")
    torch.save(state(), tmp_path / "a.pt")
    options = {"model": {"n_layers": 3}}
    refused(
        tmp_path / "a.pt", tmp_path / "run", r"shows n_layers=1 by its tensors, but 3 was stated", **options
    )
    with annotations_off():
        options = {"model": {"one_hot_embed": True}}
        refused(
            tmp_path / "a.pt",
            tmp_path / "run",
            r"is no network of this package: A one-hot embedding needs",
            **options,
        )
    refused(tmp_path / "a.pt", tmp_path / "run", r"no config_\*\.json beside it", format="pizza")
    refused(tmp_path / "a.pt", tmp_path / "run", r"Format 'huge' is none of auto, .*hooked", format="huge")


def test_not_finite_weights_are_named(tmp_path):
    bad = state()
    bad["embed.W_E"][0, 0], bad["unembed.W_U"][0, 0] = torch.nan, torch.inf
    torch.save(bad, tmp_path / "step_5.pt")
    with pytest.warns(SourceWarning, match=r"step_5\.pt holds NaN or infinity in embed\.W_E, unembed\.W_U"):
        run = import_run(tmp_path / "step_5.pt", tmp_path / "run", **KNOWN)
    assert run.record.source["not_finite"][0]["tensors"] == ["embed.W_E", "unembed.W_U"]
    assert run.config.task.split == "unknown"


def test_steps_that_contradict_each_other(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    torch.save(state(0), source / "step_5.pt")
    torch.save(state(1), source / "ckpt_5.pt")
    refused(
        source,
        tmp_path / "run",
        r"step_5\.pt and .*ckpt_5\.pt both say that they are of step 5, and hold different",
    )
    (source / "ckpt_5.pt").unlink()
    torch.save(state(1), source / "epoch_9.pt")
    refused(
        source, tmp_path / "run", r"step_5\.pt counts steps \(5\), the checkpoints before it count epochs"
    )
    torch.save([(0, state(0)), (0, state(1))], tmp_path / "pairs.pt")
    refused(tmp_path / "pairs.pt", tmp_path / "run", r"both say that they are of step 0")
    torch.save({"checkpoints": [state()], "checkpoint_epochs": [1, 2]}, tmp_path / "demo.pt")
    refused(
        tmp_path / "demo.pt",
        tmp_path / "run",
        r"holds 1 checkpoints and as checkpoint_epochs no list of as many",
    )
    torch.save({0: state(), 1: {"loss": 0.5}}, tmp_path / "gap.pt")
    refused(tmp_path / "gap.pt", tmp_path / "run", r"gap\.pt, step 1 is no state dict")
    torch.save([state(), state(1)], tmp_path / "list.pt")
    refused(tmp_path / "list.pt", tmp_path / "run", r"a list of states without steps")


def test_mixed_architectures(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    torch.save(state(), source / "0.pt")
    torch.save(state(d_mlp=20), source / "10.pt")
    refused(source, tmp_path / "run", r"10\.pt is another network than .*0\.pt: d_mlp is 20 instead of 16")
    torch.save(foreign.random_state(foreign.left_facing_shapes(8, 3, 8, 2, 4, 16, 1)), source / "10.pt")
    refused(source, tmp_path / "run", r"of format 'hooked-transformer': different networks in one folder")


def test_folders_without_checkpoints(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    refused(source, tmp_path / "run", r"source holds no run and no checkpoints: neither")
    (source / "notes.txt").write_text("x")
    refused(source, tmp_path / "run", r"source holds no run and no checkpoints")
    torch.save({"state": {}, "param_groups": []}, source / "optimizer.pt")
    refused(source, tmp_path / "run", r"holds no weights: optimizer\.pt")
    for name in ("a", "b"):
        (tmp_path / "many" / name).mkdir(parents=True)
        torch.save(state(), tmp_path / "many" / name / "0.pt")
    refused(
        tmp_path / "many",
        tmp_path / "run",
        r"holds 2 folders with checkpoints \(a, b\).*Import them one by one",
    )
    with pytest.raises(SourceError, match="There is nothing at"):
        import_run(tmp_path / "nowhere", tmp_path / "run")


def test_ten_thousand_files(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for i in range(10_000):
        (source / f"log_{i}.txt").touch()
    torch.save(state(0), source / "step_9.pt")
    torch.save(state(1), source / "step_10.pt")
    run = import_run(source, tmp_path / "run", **KNOWN)
    assert run.steps == [9, 10]


def test_paths_in_indexes_stay_in_their_folder(tmp_path):
    save_file(state(), tmp_path / "secret.safetensors")
    folder = tmp_path / "source" / "checkpoint-5"
    folder.mkdir(parents=True)
    for name in ("../../secret.safetensors", str(tmp_path / "secret.safetensors"), "absent.safetensors"):
        index = {"weight_map": {"embed.W_E": name}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        refused(
            tmp_path / "source", tmp_path / "run", r"names the shard .*, which is not a file in its folder"
        )
    (folder / "model.safetensors.index.json").write_text("[]")
    refused(tmp_path / "source", tmp_path / "run", r"is no index of shards")
    (folder / "model.safetensors.index.json").write_text("{")
    refused(tmp_path / "source", tmp_path / "run", r"is not readable JSON")


def test_destinations(tmp_path, tiny_run):
    source = tmp_path / "source"
    source.mkdir()
    torch.save(state(), source / "0.pt")
    refused(source, source / "run", r"lies inside the source .*, which is never written to")
    with pytest.raises(ValueError, match="needs a directory of its own"):
        import_run(source, tmp_path, **KNOWN)
    with pytest.raises(SourceError, match=r"is a run already: open it with interp\.open_run"):
        import_run(tiny_run.path, tmp_path / "run")
    (tmp_path / "empty").mkdir()
    assert import_run(source, tmp_path / "empty", **KNOWN).steps == [0]


def test_what_arrives_at_the_destination_meanwhile_stays(tmp_path):
    torch.save(state(), tmp_path / "0.pt")
    dest = tmp_path / "run"
    dest.mkdir()

    def copy(*args):
        (dest / "notes.txt").write_text("mine")  # while the import is under way
        return original(*args)

    original = importing._copy
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importing, "_copy", copy)
        with pytest.raises(ValueError, match="already holds other files"):
            import_run(tmp_path / "0.pt", dest, **KNOWN)
    assert [p.name for p in dest.iterdir()] == ["notes.txt"]
    (dest / "notes.txt").rename(dest / "lock")
    assert import_run(tmp_path / "0.pt", dest, **KNOWN).steps == [0] and not (dest / "lock").exists()


@pytest.mark.parametrize(
    "field",
    [{"attn_scale": 3.0}, {"scale_attn_by_inverse_layer_idx": True}, {"use_local_attn": True},
     {"attn_scores_soft_cap": 50.0}, {"eps": 1e-6}],
)  # fmt: skip
def test_stated_networks_that_cannot_be(field):
    usual = {
        "d_head": 2,
        "attn_scale": 2**0.5,
        "eps": 1e-5,
        "normalization_type": "LN",
        "attn_scores_soft_cap": -1.0,
    }
    stated_by_config(usual, "here")
    with pytest.raises(SourceError, match=f"here states {next(iter(field))}="):
        stated_by_config(usual | field, "here")


def test_losses_of_an_unknown_step_are_not_placed(tmp_path):
    torch.save({"model": state(), "train_losses": [3.0, 2.0, 1.0]}, tmp_path / "model.pt")
    with (
        pytest.warns(SourceWarning, match="it becomes step 0"),
        pytest.warns(SourceWarning, match=r"their steps are not known: train_losses \(3 values\)"),
    ):
        run = import_run(tmp_path / "model.pt", tmp_path / "run", **KNOWN)
    assert run.history().empty


def test_a_copy_beside_folders_of_checkpoints(tmp_path):
    source = tmp_path / "source"
    for step in (5, 10):
        (source / f"checkpoint-{step}").mkdir(parents=True)
        save_file(state(step), source / f"checkpoint-{step}" / "model.safetensors")
    save_file(state(10), source / "model.safetensors")
    run = import_run(source, tmp_path / "run", **KNOWN)
    assert run.steps == [5, 10] and run.record.source["duplicates"][0]["same_as"].endswith(
        "checkpoint-10/model.safetensors"
    )
    save_file(state(3), source / "model.safetensors")
    refused(source, tmp_path / "no", "says its step neither inside nor by its name, and equals no other")


def test_stated_tasks_that_cannot_be(tmp_path):
    torch.save(state(), tmp_path / "0.pt")
    cases = [
        ({"operation": "add", "modulus": 7}, "A task has no field modulus"),
        ({"operation": "random"}, "Labels that another program drew at random"),
        (
            {"operation": "add", "p": 9},
            "A task mod 9 with rows 'ab=' needs 3 positions, at least 10 tokens and 9 logits",
        ),
        ({"operation": "add", "template": "a+b=", "equals_token": True}, "needs 4 positions"),
        ({"p": 7}, "answers no known operation mod 7.*State the operation with --task"),
    ]
    for task, match in cases:
        with pytest.raises(ValueError, match=match):
            import_run(tmp_path / "0.pt", tmp_path / "run", task=task, model=KNOWN["model"])
    assert [f.name for f in tmp_path.iterdir()] == ["0.pt"]


def test_weights_of_half_precision_are_widened(tmp_path):
    half = {name: w.half() for name, w in state().items()}
    torch.save(half, tmp_path / "0.pt")
    run = import_run(tmp_path / "0.pt", tmp_path / "run", **KNOWN)
    torch.testing.assert_close(run.step_weights(0), {k: w.float() for k, w in half.items()}, rtol=0, atol=0)


def test_json_of_any_size_is_not_read(tmp_path):
    with (tmp_path / "big.json").open("wb") as file:
        file.truncate(65 * 2**20)  # sparse
    with pytest.raises(SourceError, match="larger than any config"):
        reading.read_json(tmp_path / "big.json")


def test_command_line(tmp_path, capsys, monkeypatch):
    from interp.commands import cli
    from interp.commands.import_run import import_run as command

    command(list_formats=True)
    assert "2-D blocks.0.attn.W_O" in capsys.readouterr().out
    torch.save(state(), tmp_path / "step_3.pt")
    stated = ["--task", "add", "--p", "7", "--normalization", "none", "--attention", "causal"]
    monkeypatch.setattr(
        "sys.argv", ["interp", "import", str(tmp_path / "step_3.pt"), str(tmp_path / "run"), *stated]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        with pytest.raises(SystemExit) as stop:
            cli.main()
    out, err = capsys.readouterr()
    assert not stop.value.code and "add mod 7" in out and "not found: state --split" in out
    assert "interp: warning: Tensors do not show act_fn='relu'" in err and ".py:" not in err
