"""Files made to mislead, to hang or to exhaust: each ends at once in one sentence that names the file."""

import argparse
import json
import pickle
import time
import warnings
import zipfile

import numpy as np
import pytest
import torch

from interp.runs.tensor_files import RunError
from interp.sources import SourceError, SourceWarning, import_run, learned, memorized
from interp.sources.files.pickles import check_keys
from interp.sources.opening import open_run
from tests import foreign

KNOWN = {
    "task": {"operation": "add"},
    "model": {"act_fn": "relu", "attention_dir": "causal", "normalization_type": None},
}


def state(seed=0, p=7, d_model=8):
    return foreign.random_state(foreign.hooked_shapes(p + 1, 3, d_model, 2, 4, 16, 1, p), seed)


def opened(path, **stated):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SourceWarning)
        return open_run(path, **KNOWN | stated)


def imported(path, dest, **stated):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SourceWarning)
        return import_run(path, dest, **stated)


def flipped(data: bytes, place: int, bit: int) -> bytes:
    return data[:place] + bytes([data[place] ^ (1 << bit)]) + data[place + 1 :]


def test_a_flipped_bit_in_weights_is_found_in_place_and_when_importing(tmp_path):
    torch.save(state(), tmp_path / "step_5.pt")
    whole = (tmp_path / "step_5.pt").read_bytes()
    weight = state()["unembed.W_U"].numpy().tobytes()
    start = whole.index(weight)
    for place, bit in ((0, 0), (101, 7), (len(weight) - 1, 3)):
        (tmp_path / "step_5.pt").write_bytes(flipped(whole, start + place, bit))
        with pytest.raises(
            SourceError, match=r"step_5\.pt is damaged or truncated: the bytes of its record .*CRC-32"
        ):
            opened(tmp_path / "step_5.pt")
        with pytest.raises(SourceError, match="CRC-32"):
            import_run(tmp_path / "step_5.pt", tmp_path / "run", **KNOWN)
    (tmp_path / "step_5.pt").write_bytes(whole)
    assert opened(tmp_path / "step_5.pt").steps == [5]


def test_a_file_without_sums_is_read(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(state(), tmp_path / "step_5.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    torch.testing.assert_close(opened(tmp_path / "step_5.pt").step_weights(5), state(), rtol=0, atol=0)


def odd_tensors():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "nested": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
            "jagged": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged),
            "float8": torch.ones(8, 7).to(torch.float8_e4m3fn),
            "complex": torch.ones(8, 7, dtype=torch.complex64),
            "quantized": torch.quantize_per_tensor(torch.ones(8, 7), 0.1, 0, torch.qint8),
            "sparse": torch.ones(8, 7).to_sparse(),
            "csr": torch.ones(8, 7).to_sparse_csr(),
            "meta": torch.ones(8, 7, device="meta"),
            "uint16": torch.ones(8, 7, dtype=torch.uint16),
        }


@pytest.mark.parametrize("name", odd_tensors())
@pytest.mark.parametrize("where", ["weight", "only weight", "loss", "rows", "legacy"])
def test_tensors_of_other_forms_are_an_error_as_weights_and_nothing_elsewhere(tmp_path, name, where):
    odd, path = odd_tensors()[name], tmp_path / "step_5.pt"
    weights = {k: v for k, v in state().items() if k != "unembed.W_U"} | {"unembed.W_U": odd}
    content = {
        "weight": weights,
        "legacy": weights,
        "only weight": {"W_x": odd, "W_y": odd, "W": odd, "W_U": odd},
        "loss": {
            "model": state(),
            "train_loss": odd,
            "curve": [odd],
            "config": {"n_heads": odd, "act_fn": odd},
        },
        "rows": {"model": state(), "train_data": odd, "train_indices": odd},
    }[where]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            torch.save(content, path, _use_new_zipfile_serialization=where != "legacy")
        except Exception:
            pytest.skip("torch cannot save it")
    if where in ("loss", "rows"):
        run = opened(path)
        assert run.steps == [5] and len(run.history()) == 0
        return
    with pytest.raises(SourceError, match=r"step_5\.pt") as caught:
        opened(path)
    assert len(str(caught.value)) < 600


def chain(levels, kind=list):
    """Two references to the one below, at each level: 2^levels entries that take no room."""
    value = kind([1, 2])
    for _ in range(levels):
        value = kind([value, value])
    return value


def seconds(function, *arguments, **options):
    start = time.process_time()
    function(*arguments, **options)
    return time.process_time() - start


def itself():
    value: dict = {}
    value["hparams"] = value["x"] = value
    return value


@pytest.mark.parametrize(
    "config",
    [
        {"x": chain(60)},
        {"x": chain(60, tuple)},
        {"x": {"y": chain(60), "z": {"a": chain(60)}}},
        argparse.Namespace(x=chain(60), n_heads=chain(60), n_key_value_heads=chain(60)),
        {"positional_embedding_type": "standard", "n_key_value_heads": chain(60), "n_heads": chain(60)},
        {"act_fn": chain(60), "attention_dir": chain(60), "positional_embedding_type": "standard"},
        {"math_operator": chain(60), "non_linearity": chain(60), "train_data_pct": chain(60)},
        itself(),
        {i: 10**5000 + i for i in range(1000)},
        {10**5000: 1, (1, 2): 3, "n_heads": 10**5000, "seed": 10**5000, "lr": float("nan")},
        {f"option {i}": i for i in range(20_000)},
    ],
)
def test_options_that_share_or_hold_too_much_take_no_time(tmp_path, config):
    torch.save({"model": state(), "config": config}, tmp_path / "step_5.pt")

    def said():
        try:
            return json.dumps(opened(tmp_path / "step_5.pt").record.source)
        except SourceError as error:
            return str(error)

    start = time.process_time()
    assert len(said()) < 100_000
    assert time.process_time() - start < 3


def test_options_are_kept_as_they_are_where_they_are_plain(tmp_path):
    config = {
        "lr": 0.1,
        "betas": [0.9, 0.98],
        "n_heads": np.int64(2),
        "dtype": torch.float32,
        "name": "x" * 500,
    }
    torch.save({"model": state(), "config": config}, tmp_path / "step_5.pt")
    assert opened(tmp_path / "step_5.pt").record.source["config"] == {
        "lr": 0.1, "betas": "[0.9, 0.98]", "n_heads": 2, "dtype": "torch.float32", "name": "x" * 200,
    }  # fmt: skip


def test_one_list_under_many_names_is_not_taken_a_million_times(tmp_path, monkeypatch):
    from interp.sources.records import recorded

    monkeypatch.setattr(recorded, "_MOST_NUMBERS", 100_000)
    losses = [0.5] * 1000
    states = [{"model": state(), "epoch": i, "train_losses": losses} for i in range(200)]
    torch.save(states, tmp_path / "a.pt")
    with pytest.raises(SourceError, match="records more than 100,000 numbers beside its weights"):
        opened(tmp_path / "a.pt")
    # Names that are no quantity cost nothing.
    torch.save(
        {"model": state(), "epoch": 0} | {f"n{i}": losses for i in range(1000)}, tmp_path / "step_5.pt"
    )
    assert opened(tmp_path / "step_5.pt").steps == [0]


@pytest.mark.slow
def test_numbers_under_any_number_of_names_are_few_columns(tmp_path):
    torch.save({"model": state(), "step": 5} | {f"n{i}": 0.5 for i in range(100_000)}, tmp_path / "a.pt")
    assert len(opened(tmp_path / "a.pt").recorded().columns) < 250


def test_lists_of_rows_are_bounded_as_losses_are(tmp_path, monkeypatch):
    from interp.sources.records import recorded

    monkeypatch.setattr(recorded, "_MOST_NUMBERS", 10_000)
    rows = list(range(1000))
    content = {"train_rows": rows, "test_rows": {"inputs": rows}}
    torch.save([{"model": state(), "epoch": i} | content for i in range(20)], tmp_path / "a.pt")
    with pytest.raises(SourceError, match="records more than 10,000 numbers beside its weights"):
        opened(tmp_path / "a.pt")


def test_a_long_tensor_in_a_list_of_rows_is_no_row(tmp_path):
    row = torch.zeros(10**6, dtype=torch.int64)
    torch.save({"model": state(), "train_data": [row] * 2000}, tmp_path / "0.pt")
    assert seconds(opened, tmp_path / "0.pt") < 3


def test_lists_below_an_error_keep_their_lines_and_are_bounded(tmp_path):
    odd = "x\x1b[2J\nforged: line"
    torch.save({"a.b": torch.ones(3, 4), odd: torch.ones(5, 5)}, tmp_path / "0.pt")
    with pytest.raises(SourceError, match=r"format:\n    'a\.b' \(3, 4\)\n") as caught:
        opened(tmp_path / "0.pt")
    text = str(caught.value)
    assert (
        repr(odd) in text and "\x1b" not in text and not any(x.startswith("forged") for x in text.split("\n"))
    )
    assert str(pickle.loads(pickle.dumps(caught.value))) == text
    torch.save({f"n{i}." + "w" * 5000: torch.ones(2, 3) for i in range(60)}, tmp_path / "0.pt")
    with pytest.raises(SourceError, match="No code for names of more than 120 signs") as caught:
        opened(tmp_path / "0.pt")
    assert len(str(caught.value)) < 6000
    square = {name: torch.ones(18, 18) for name in ("red", "green", "blue", "pink", "grey")}
    torch.save(square | {"o.w": torch.ones(18, 9)}, tmp_path / "0.pt")
    with pytest.raises(SourceError, match=r"leave 480 readings:[^$]*    and 470 more\nState") as caught:
        opened(tmp_path / "0.pt")
    assert len(str(caught.value)) < 6000


def test_a_short_list_that_claims_to_be_long_is_not_taken(tmp_path):
    huge = torch.zeros(1).expand(10**8)
    torch.save(
        {"model": state(), "train_losses": huge, "train_data": huge[:, None].expand(-1, 3)}, tmp_path / "0.pt"
    )
    assert seconds(opened, tmp_path / "0.pt") < 3


def rewrite(path, change):
    """Records of a torch archive changed, with the sums of what they are now."""
    with zipfile.ZipFile(path) as archive:
        entries = [(name, change(name, archive.read(name))) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries:
            archive.writestr(name, data)


@pytest.mark.parametrize("levels", [900, 50_000])
def test_containers_of_any_depth(tmp_path, levels):
    path = tmp_path / "step_5.pt"
    torch.save({"model": state(), "config": {"x": "deep"}}, path)
    deep = b"]" * levels + b"a" * (levels - 1)
    rewrite(path, lambda name, data: data.replace(b"X\x04\x00\x00\x00deep", deep))
    with pytest.raises(SourceError, match=r"step_5\.pt holds containers nested deeper than any checkpoint's"):
        opened(path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("log.json", json.dumps([{"step": 10**30, "loss": 0.1}, {"step": 5, "loss": 0.2}])),
        ("log.json", json.dumps([{"step": 2**63, "loss": 0.1}, {"step": 5, "loss": 0.2}])),
        ("log.json", json.dumps([{"step": 5, "loss": 10**400}])),
        ("log.json", '[{"step": 5, "loss": 1' + "0" * 5000 + "}]"),
        ("log.json", json.dumps([{"step": [5], "loss": {"a": 1}}])),
        ("log.json", "[" * 100_000 + "]" * 100_000),
        ("log.json", '{"step": ' + "[" * 900 + "]" * 900 + "}"),
        ("log.jsonl", '{"step": 5, "loss": ' + "[" * 100 + "]" * 100 + "}"),
        ("log.csv", "step,loss\n99999999999999999999999,0.1\n5,0.2\n"),
        ("log.csv", "step,loss\n5,\x1b[2J\n"),
        ("log.csv", "step,loss," + ",".join(map(str, range(10_000))) + "\n" + "1\n" * 10_000),
        (
            "log.json",
            json.dumps([{"step": 5, "loss": 0.1} | {str(i): i for i in range(20_000)}] + [{}] * 20_000),
        ),
        ("trainer_state.json", json.dumps({"log_history": [{"step": 10**30, "loss": 0.1}, {"step": 5}]})),
    ],
)
def test_logs_that_hold_what_no_log_holds(tmp_path, name, text):
    source = tmp_path / "source"
    source.mkdir()
    torch.save(state(), source / "step_5.pt")
    (source / name).write_text(text)
    start = time.process_time()
    run = opened(source)
    assert run.steps == [5] and set(run.history()["step"]) <= {5}
    imported(source, tmp_path / "run", **KNOWN)
    assert time.process_time() - start < 5


@pytest.mark.parametrize("step", [10**30, 2**63, -1, "9" * 40, [5], {"a": 1}, 1e300])
def test_steps_that_are_none(tmp_path, step):
    torch.save({"model": state(), "step": step}, tmp_path / "a.pt")
    assert opened(tmp_path / "a.pt").steps == [0]
    torch.save({step if not isinstance(step, list | dict) else -1: state()}, tmp_path / "b.pt")
    with pytest.raises(SourceError, match=r"b\.pt holds no state dict"):
        opened(tmp_path / "b.pt")


ODD_NAMES = [
    "a/b", "../x", "../../x", "/tmp/x", "a\\b", "C:x", "nul\0x", "w" * 5000, "CON", "nul.weight", "",
    "x\x1b[2J", "\udcff", "a..b",
]  # fmt: skip


def files_below(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*"))


@pytest.mark.parametrize("name", ODD_NAMES)
def test_tensors_of_any_name_leave_nothing_behind(tmp_path, name):
    """In a format that renames what it knows, and in one that keeps the names of its files."""
    one = tmp_path / "one"
    one.mkdir()
    try:
        torch.save(state() | {name: torch.ones(2)}, one / "step_5.pt")
    except UnicodeEncodeError:
        pytest.skip("cannot be written")
    series = tmp_path / "series" / "checkpoint-5"
    series.mkdir(parents=True)
    (series / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    torch.save({name: torch.ones(2), "a.b": torch.ones(2)}, series / "pytorch_model.bin")
    before = files_below(tmp_path)
    for source, stated in ((one, KNOWN), (series.parent, {})):
        with pytest.raises(RunError) as caught:
            imported(source, tmp_path / "new" / "deep" / "run", **stated)
        assert len(str(caught.value)) < 2500 and "\x1b" not in str(caught.value)
        assert files_below(tmp_path) == before


def test_a_killed_import_is_cleared_away_by_the_next(tmp_path):
    from interp.ground import workshops

    torch.save(state(), tmp_path / "step_5.pt")
    dead = tmp_path / ".run.abcdefgh.importing"
    (dead / "run" / "steps").mkdir(parents=True)
    (dead / workshops._LOCK).touch()
    imported(tmp_path / "step_5.pt", tmp_path / "run", **KNOWN)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "step_5.pt"]


def as_key(levels):
    """Opcodes of a pickle: a dict whose key is a tuple that holds another twice, and so on."""
    return (
        b"}(K\x01K\x02\x86r\x00\x00\x10\x00" + b"j\x00\x00\x10\x00\x86r\x00\x00\x10\x00" * levels + b"K\x05u"
    )


@pytest.mark.parametrize("is_legacy", [False, True])
def test_keys_that_share_take_no_time(tmp_path, is_legacy):
    path = tmp_path / "step_5.pt"
    torch.save({"model": state(), "x": "keys"}, path, _use_new_zipfile_serialization=not is_legacy)
    mark, keys = b"X\x04\x00\x00\x00keys", as_key(60)
    if is_legacy:
        path.write_bytes(path.read_bytes().replace(mark, keys))
    else:
        rewrite(path, lambda name, data: data.replace(mark, keys))
    start = time.process_time()
    with pytest.raises(
        SourceError, match=r"step_5\.pt is damaged or truncated: it holds tuples of tuples that would"
    ):
        opened(path)
    assert time.process_time() - start < 3


@pytest.mark.parametrize("protocol", range(6))
def test_ordinary_pickles_of_any_protocol_pass(protocol):
    value = [
        {(1, (2, 3)): {1, 2}},
        frozenset([1]),
        "x",
        b"y",
        1.5,
        10**50,
        None,
        True,
        range(3),
        argparse.Namespace,
    ]
    check_keys(pickle.dumps(value, protocol))
    with pytest.raises(ValueError, match="no whole pickle"):
        check_keys(b"\x80\x02\x86.")
    deep = (1, 2)
    for _ in range(30):
        deep = (deep, deep)
    with pytest.raises(ValueError, match="tuples of tuples"):
        check_keys(pickle.dumps(deep, protocol))


def test_a_vocabulary_of_a_small_file_takes_no_memory(tmp_path):
    path, start = tmp_path / "step_5.pt", time.process_time()
    torch.save(state(p=3000, d_model=2), path)
    run = opened(path, task=None)
    assert run.config.task is None and time.process_time() - start < 5
    assert run.record.source["task"]["none"].startswith(
        "a network of 3,000 answers has 9,000,000 pairs, more than"
    )
    with pytest.raises(
        SourceError, match=r"has no task: a network of 3,000 answers .* State --p if that is right"
    ):
        opened(path)


def test_losses_of_parts_are_those_of_the_whole(tmp_path, monkeypatch):
    torch.save(state(), tmp_path / "step_5.pt")
    run = opened(tmp_path / "step_5.pt")
    whole = memorized.example_losses(run.config.model, run.step_weights(5), run.task)
    answers = learned._answers(run.config.model, run.step_weights(5), run.task.questions, 7)
    monkeypatch.setattr(memorized, "_MOST_LOGITS", 70)
    parts = memorized.example_losses(run.config.model, run.step_weights(5), run.task)
    torch.testing.assert_close(parts, whole, rtol=1e-6, atol=1e-7)
    assert torch.equal(
        learned._answers(run.config.model, run.step_weights(5), run.task.questions, 7), answers
    )


def test_a_thousand_files_that_cannot_be_read_are_not_said_one_by_one(tmp_path, capsys):
    from interp.views.described import describe

    torch.save(state(), tmp_path / "step_5.pt")
    for i in range(100):
        (tmp_path / f"log_{i}.pt").write_bytes(b"PK\x03\x04")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        run = open_run(tmp_path, **KNOWN)
    texts = [str(warning.message) for warning in said if "Left out" in str(warning.message)]
    assert len(texts) == 21 and texts[-1] == "Left out: 80 more files that cannot be read."
    assert describe(run)["  left out"].endswith("log_19.pt and 80 more")
    assert len(run.record.source["unreadable"]) == 100


def test_a_stated_task_that_no_network_of_this_size_learned_names_the_source(tmp_path):
    torch.save(foreign.random_state(foreign.hooked_shapes(8, 50, 8, 2, 4, 16, 1, 7)), tmp_path / "step_5.pt")
    with pytest.raises(
        SourceError, match=r"Run 'step_5\.pt' has no task: The network reads 50 tokens at once"
    ):
        opened(tmp_path / "step_5.pt")


def test_arrays_of_rows_that_claim_more_than_there_is(tmp_path):
    torch.save(state(), tmp_path / "step_5.pt")
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 3), }\n"
    array = b"\x93NUMPY\x02\x00" + len(header).to_bytes(4, "little") + header
    with zipfile.ZipFile(tmp_path / "indices.npy", "w") as archive:
        archive.writestr("train.npy", array + bytes(1000))
    (tmp_path / "train_indices.npy").write_bytes(array)
    with pytest.warns(SourceWarning, match=r"indices\.npy is no array of numbers that can be read"):
        assert open_run(tmp_path, **KNOWN).steps == [5]


def test_an_array_whose_header_does_not_fit_into_memory(tmp_path, monkeypatch):
    def none_left(*arguments, **options):
        raise MemoryError

    torch.save(state(), tmp_path / "step_5.pt")
    np.save(tmp_path / "train_indices.npy", np.arange(3))
    monkeypatch.setattr(np.lib.format, "open_memmap", none_left)
    with pytest.warns(SourceWarning, match=r"train_indices\.npy is no array .* be read: MemoryError"):
        open_run(tmp_path, **KNOWN)


@pytest.mark.slow
def test_torch_prints_no_traceback_of_a_negative_storage(tmp_path):
    import subprocess
    import sys

    torch.save({"w.x": torch.arange(6.0)}, tmp_path / "b.pt", _use_new_zipfile_serialization=False)
    data = (tmp_path / "b.pt").read_bytes()
    (tmp_path / "b.pt").write_bytes(data.replace(b"K\x06", b"J\xff\xff\xff\xff"))
    command = [sys.executable, "-m", "interp", "info", str(tmp_path / "b.pt")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and "b.pt is damaged or truncated" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_of_the_hub_without_one_is_named(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(SourceError, match="^hf:// cannot be had from the hub"):
        open_run("hf://")


def test_one_double_among_floats_makes_all_of_them_doubles(tmp_path):
    weights = state()
    torch.save(weights | {"embed.W_E": weights["embed.W_E"].double()}, tmp_path / "step_5.pt")
    found = opened(tmp_path / "step_5.pt").step_weights(5)
    assert {w.dtype for w in found.values()} == {torch.float64}
    torch.testing.assert_close(found, {k: w.double() for k, w in weights.items()}, rtol=0, atol=0)


def test_negated_views_have_checksums():
    from interp.runs.tensor_files import tensor_checksum

    assert tensor_checksum(torch._neg_view(torch.ones(3))) == tensor_checksum(-torch.ones(3))
    value = torch.full((3,), 1 + 2j)
    assert tensor_checksum(value.conj()) == tensor_checksum(torch.full((3,), 1 - 2j))


def test_text_on_one_line_is_no_log(tmp_path):
    torch.save(state(), tmp_path / "step_5.pt")
    (tmp_path / "log.csv").write_text(json.dumps({f"k{i}": i for i in range(300_000)}))
    start = time.process_time()
    with pytest.warns(SourceWarning, match="log.csv .it claims 300,000 columns in 0 rows"):
        open_run(tmp_path, **KNOWN)
    assert time.process_time() - start < 5
