"""Every format, written by tests/foreign.py, imported, and its logits compared with a forward pass of that format."""

import functools
import json
import re
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import interp
from interp.networks.config import ModelConfig
from interp.snapshots.snapshot import Snapshot
from interp.sources import SourceError, SourceWarning, import_run
from interp.sources.files import steps
from interp.sources.formats import openai_grok
from interp.sources.formats.pizza import operation_of
from tests import foreign

# Two orders of summation in float32 over sums of at most some hundred terms of size 1.
CLOSE = {"atol": 2e-5, "rtol": 2e-5}


def quietly(*args, **kwargs):
    """An import that may warn of what it assumed."""
    with pytest.warns(SourceWarning, match="Tensors do not show"):
        return import_run(*args, **kwargs)


def logits_of(run, step, tokens):
    """All logits at the last position, by the hooked model."""
    with torch.no_grad():
        return run.model(step)(tokens)[:, -1]


def all_pairs(p, *constants):
    rows = torch.cartesian_prod(torch.arange(p), torch.arange(p))
    return torch.cat([rows, torch.tensor(constants, dtype=torch.long).expand(p * p, -1)], 1)


def test_folder_of_hooked_transformers(tiny_run, tmp_path):
    source = tmp_path / "ckpts"
    source.mkdir()
    for step in tiny_run.steps:
        torch.save(tiny_run.step_weights(step), source / f"step_{step}.pt")
    run = quietly(source, tmp_path / "run")
    assert run.steps == tiny_run.steps and run.unit == "step" and run.record.status == "imported"
    for step in run.steps:
        assert run.index[step]["tensors"] == tiny_run.index[step]["tensors"]
    assert run.config.model == tiny_run.config.model and len(run.history()) == 0
    # Nobody said what was learned, nor on which rows: both are read off the networks.
    assert run.config.task == tiny_run.config.task
    assert "answered by the last checkpoint" in run.record.source["task"]["operation"]
    assert "standard errors" in run.record.source["task"]["split"]
    assert run.record.source["assumed"] == {
        "act_fn": "relu",
        "attention_dir": "causal",
        "normalization_type": None,
    }


def test_wrong_splits_are_not_found(tiny_run, tmp_path):
    """A network that has seen no row of any known split more than others: the split stays unknown."""
    torch.save(tiny_run.step_weights(0), tmp_path / "step_0.pt")
    run = quietly(tmp_path / "step_0.pt", tmp_path / "run", task={"operation": "add"})
    assert run.config.task.split == "unknown" and run.config.task.train_fraction is None
    assert run.task.is_train is None and Snapshot.of(run, 0).logits.shape == (121, 11)
    with pytest.raises(ValueError, match=r"needs the train/test split.*--train-fraction"):
        run.task.split


def test_stated_split(tiny_run, tmp_path):
    torch.save(tiny_run.step_weights(0), tmp_path / "0.pt")
    stated = {"operation": "add", "p": 11, "split": "torch", "split_seed": 598, "train_fraction": 0.3}
    run = quietly(tmp_path / "0.pt", tmp_path / "run", task=stated)
    order = torch.randperm(121, generator=torch.Generator().manual_seed(598))[:36]
    assert run.task.split.nonzero().squeeze(1).tolist() == sorted(order.tolist())
    run = quietly(tmp_path / "0.pt", tmp_path / "rows", task={"operation": "add"}, train_indices=[0, 5, 120])
    assert run.task.split.nonzero().squeeze(1).tolist() == [0, 5, 120] and run.config.task.split == "explicit"
    with pytest.raises(ValueError, match=r"Split 'torch' needs a train fraction and a seed"):
        quietly(tmp_path / "0.pt", tmp_path / "no", task={"operation": "add", "split": "torch"})
    with pytest.raises(SourceError, match=r"train_indices names as train rows \(11, 0\), which is no row"):
        quietly(tmp_path / "0.pt", tmp_path / "no", task={"operation": "add"}, train_indices=[121])


def test_random_network_has_no_task(tmp_path):
    shapes = foreign.hooked_shapes(12, 3, 8, 2, 4, 16, 1, 11)
    torch.save(foreign.random_state(shapes), tmp_path / "a.pt")
    with pytest.warns(SourceWarning) as caught:
        run = import_run(tmp_path / "a.pt", tmp_path / "run")
    texts = " ".join(str(w.message) for w in caught)
    assert "answers no known operation mod 11" in texts and "does not say of which step it is" in texts
    assert run.config.task is None and run.steps == [0]


@pytest.mark.parametrize("norm", [False, True])
def test_hooked_transformer_with_biases_and_layers(tmp_path, norm):
    state = foreign.random_state(foreign.hooked_shapes(8, 3, 12, 3, 4, 20, 2, 7, norm=norm))
    wrapped = {"module." + k: v for k, v in foreign.with_buffers(state).items()}
    torch.save(
        {"model_state_dict": wrapped, "step": 7, "epoch": 3, "train_loss": 0.5, "lr": 0.25},
        tmp_path / "best.pt",
    )
    model = {"act_fn": "gelu"} | ({} if norm else {"normalization_type": None})
    run = import_run(tmp_path / "best.pt", tmp_path / "run", task={"operation": "add"}, model=model)
    assert run.steps == [7] and run.unit == "step"
    tokens = all_pairs(7, 7)
    want = foreign.hooked_logits(state, tokens, torch.nn.functional.gelu)
    torch.testing.assert_close(logits_of(run, 7, tokens), want, **CLOSE)
    assert run.record.source["assumed"] == {}  # the mask says causal
    assert len(run.record.source["dropped"]) == 4
    history = run.history()
    assert (
        history.step.tolist() == [7]
        and history.train_loss.tolist() == [0.5]
        and history.test_loss.isna().all()
    )
    import pandas as pd

    assert pd.read_parquet(run.path / "recorded.parquet").to_dict("list") == {"step": [7], "lr": [0.25]}


@pytest.mark.parametrize("norm", [None, "LN"])
def test_bridge_and_native(tmp_path, norm):
    from transformer_lens import TransformerBridge, TransformerBridgeConfig

    config = TransformerBridgeConfig(
        n_layers=2, d_model=8, n_heads=2, d_head=4, d_mlp=16, act_fn="relu", normalization_type=norm, n_ctx=3,
        d_vocab=8, d_vocab_out=7, seed=0,
    )  # fmt: skip
    bridge = TransformerBridge.boot_native(config)
    with torch.no_grad():
        for parameter in bridge.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0))
    tokens = all_pairs(7, 7)
    want = bridge(tokens)[:, -1].detach()
    for name, state in (("bridge", bridge.state_dict()), ("native", bridge.original_model.state_dict())):
        torch.save(state, tmp_path / f"{name}_step_5.pt")
        run = quietly(
            tmp_path / f"{name}_step_5.pt", tmp_path / name, model={"n_heads": 2}, task={"operation": "add"}
        )
        assert run.record.source["format"] == name
        torch.testing.assert_close(logits_of(run, 5, tokens), want, **CLOSE)
    with pytest.raises(SourceError, match=r"does not show its number of heads.*--heads 4"):
        import_run(tmp_path / "bridge_step_5.pt", tmp_path / "no")


def test_grokking_demo(tiny_run, tmp_path):
    states = {s - 1: foreign.with_buffers(tiny_run.step_weights(s)) for s in (100, 200, 300)}
    rows = tiny_run.task.split.nonzero().squeeze(1)
    losses = [1 / (i + 1) for i in range(300)]
    foreign.write_demo(tmp_path / "demo.pth", states, rows, 11, losses)
    run = import_run(tmp_path / "demo.pth", tmp_path / "run")  # nothing needs to be assumed
    assert run.steps == [99, 199, 299] and run.unit == "epoch"
    assert run.config.task.split == "explicit" and run.config.task.operation == "add"
    assert torch.equal(run.task.split, tiny_run.task.split)
    history = run.history()
    assert history.train_loss.tolist() == losses and history.test_loss.tolist() == [3 * x for x in losses]
    assert run.record.history_is == "recorded by the source, not recomputed"
    assert run.record.source["config"]["seed"] == 999
    tokens = tiny_run.task.tokens
    assert torch.equal(logits_of(run, 299, tokens), logits_of(tiny_run, 300, tokens))
    foreign.write_demo(tmp_path / "odd.pth", states, rows, 11, losses, positional_embedding_type="rotary")
    with pytest.raises(
        SourceError, match="positional_embedding_type='rotary', which no network of this package has"
    ):
        import_run(tmp_path / "odd.pth", tmp_path / "no")


def test_progress_measures(tiny_run, tmp_path):
    states = {
        e: foreign.as_left_facing(tiny_run.step_weights(s))
        for e, s in ((0, 0), (100, 100), (200, 200), (300, 300))
    }
    train = [tuple(x) for x in tiny_run.task.config.pairs()[tiny_run.task.split].tolist()]
    losses = [1 / (i + 1) for i in range(300)]
    foreign.write_progress_measures(tmp_path / "grok_1", states, train, 11, losses)
    run = quietly(tmp_path / "grok_1", tmp_path / "run")
    assert run.steps == [0, 100, 200, 300] and run.unit == "epoch"
    assert [d["same_as"].rsplit("/", 1)[1] for d in run.record.source["duplicates"]] == ["0.pth"]  # init.pth
    assert run.record.source["without_weights"] == 1  # curves.pth
    assert run.config.task.split == "explicit" and torch.equal(run.task.split, tiny_run.task.split)
    assert run.config.model.d_vocab_out == 12 and run.config.model.attention_dir == "causal"
    assert run.history().step.tolist() == list(range(300)) and run.history().test_loss[1] == 1.0
    tokens = tiny_run.task.tokens
    for epoch, state in states.items():
        want = foreign.left_facing_logits(state, tokens)
        torch.testing.assert_close(logits_of(run, epoch, tokens), want, **CLOSE)
        torch.testing.assert_close(Snapshot.of(run, epoch).logits, want, **CLOSE)


def test_progress_measures_final_only_and_deep(tmp_path):
    state = foreign.random_state(foreign.left_facing_shapes(8, 3, 12, 3, 4, 20, 3))
    foreign.write_final(tmp_path, foreign.with_masks(state), 50, [0.5] * 50)
    run = quietly(tmp_path / "final.pth", tmp_path / "run", task={"operation": "subtract", "p": 7})
    assert run.steps == [50] and run.unit == "epoch" and len(run.history()) == 50
    assert run.config.model.n_layers == 3 and run.config.task.operation == "subtract"
    tokens = all_pairs(7, 7)
    torch.testing.assert_close(logits_of(run, 50, tokens), foreign.left_facing_logits(state, tokens), **CLOSE)


@pytest.mark.parametrize(
    ("diff_vocab", "eqn_sign", "rate"), [(0, 0, 0.3), (1, 0, 0.0), (0, 1, 1.0), (1, 1, 0.7)]
)
def test_pizza(tmp_path, diff_vocab, eqn_sign, rate):
    # Four heads of width 18 // 4, as that code makes them.
    shapes = foreign.left_facing_shapes(7 * (1 + diff_vocab) + eqn_sign, 2 + eqn_sign, 18, 4, 4, 72, 2)
    state = foreign.random_state(shapes)
    file = foreign.write_pizza(
        tmp_path / "save",
        foreign.with_masks(state),
        "abc123",
        attn_coeff=rate,
        diff_vocab=diff_vocab,
        eqn_sign=eqn_sign,
    )
    run = import_run(file, tmp_path / "run")
    assert run.steps == [20000] and run.unit == "epoch"
    task, model = run.config.task, run.config.model
    assert (task.operation, task.p, task.separate_vocabularies, task.equals_token) == (
        "add",
        7,
        diff_vocab,
        eqn_sign,
    )
    assert task.split == "unknown" and task.train_fraction == 0.8  # the code draws it without a seed
    assert (model.attention_rate, model.attention_dir) == (rate, "bidirectional")
    tokens = all_pairs(7, *[7 * (1 + diff_vocab)] * eqn_sign) + torch.tensor(
        [0, 7 * diff_vocab, 0][: 2 + eqn_sign]
    )
    assert torch.equal(tokens, run.task.tokens)
    want = foreign.left_facing_logits(state, tokens, causal=False, rate=rate)
    torch.testing.assert_close(logits_of(run, 20000, tokens), want, **CLOSE)


def test_pizza_folder(tmp_path):
    state = foreign.random_state(foreign.left_facing_shapes(7, 2, 16, 4, 4, 64, 1))
    foreign.write_pizza(
        tmp_path / "save", state, "one", funcs="lambda x: __import__('os').abort()", act_fn="GeLU"
    )
    with pytest.warns(SourceWarning, match="answers no known operation mod 7"):
        run = import_run(tmp_path / "save", tmp_path / "run")
    assert run.config.task is None and run.config.model.act_fn == "gelu"
    foreign.write_pizza(tmp_path / "save", state, "two")
    with pytest.raises(SourceError, match=r"holds 2 networks.*model_one\.pt"):
        import_run(tmp_path / "save", tmp_path / "no")
    file = foreign.write_pizza(tmp_path / "linear", state, "x", use_linear=True)
    with pytest.raises(SourceError, match="one of the linear models"):
        import_run(file, tmp_path / "no")
    file = foreign.write_pizza(tmp_path / "odd", state, "x", attn_coeff="0.5")
    with pytest.raises(SourceError, match=r"attn_coeff='0\.5'"):
        import_run(file, tmp_path / "no")
    for modulus in ("7)|(.*", 7.0, True, 0, None):
        file = foreign.write_pizza(tmp_path / "modulus", state, "x", C=modulus)
        with pytest.raises(SourceError, match="which is the modulus: a positive integer is needed"):
            import_run(file, tmp_path / "no")


def test_lambdas_are_parsed_not_evaluated():
    assert operation_of("lambda x: (x[0]-x[1]) % 59", 59) == "subtract"
    assert operation_of("lambda x: (x[0]**2+x[1]**2)%59", 59) == "x2+y2"
    assert operation_of("lambda x: sum(x)%59", 59) == "add"
    assert operation_of("lambda x: (x[0]+x[1])%58", 59) is None
    assert operation_of("lambda x: exit()", 59) is None


@pytest.mark.parametrize("operator", ["+", "/"])
def test_openai_grok(tmp_path, operator):
    state = foreign.random_state(foreign.grok_shapes())
    full = state | {
        "position_encoding": foreign.grok_positions(50, 8),
        "self_attn_mask": torch.ones(50, 50).tril(),
    }
    source = tmp_path / "logs"
    (source / "checkpoints").mkdir(parents=True)
    options = Namespace(math_operator=operator, train_data_pct=30.0, non_linearity="relu", n_heads=2)
    for k in (1, 2, 4):
        foreign.write_lightning(source / "checkpoints" / f"epoch_{k}.ckpt", full, 19 * k, k, options)
    run = import_run(source, tmp_path / "run")
    assert run.steps == [19, 38, 76] and run.unit == "step" and run.record.source["format"] == "openai-grok"
    model = run.config.model
    assert (model.norm_placement, model.positions, model.mlp_bias) == ("post", "sinusoidal", False)
    task = run.task
    rows = [(3, 5), (96, 96), (0, 1), (50, 2)]
    texts = [f"<|eos|> {a} {operator} {b} =" for a, b in rows]
    theirs = foreign.grok_logits(state, texts)
    row_of = {tuple(pair): i for i, pair in enumerate(task.config.pairs().tolist())}
    ours = Snapshot.of(run, 19).logits[[row_of[pair] for pair in rows]]
    numbers = [foreign.GROK_VOCABULARY.index(str(n)) for n in range(97)]
    torch.testing.assert_close(ours[:, :97], theirs[:, numbers], **CLOSE)
    assert ours.shape == theirs.shape  # the softmax of the trainer runs over the whole vocabulary
    # The split of their generator, written out: equations in order, numpy's shuffle of seed 0.
    import numpy as np

    if operator == "+":
        equations = [(a, b) for a in range(97) for b in range(97)]
    else:
        equations = [(c * b % 97, b) for c in range(97) for b in range(97) if b != 0]
    np.random.RandomState(seed=0).shuffle(equations)
    train = equations[: round(len(equations) * 0.3)]
    assert {tuple(x) for x in task.config.pairs()[task.split].tolist()} == set(train)


def test_openai_grok_without_options_and_with_other_positions(tmp_path):
    state = foreign.random_state(foreign.grok_shapes(n_layers=1))
    foreign.write_lightning(tmp_path / "last.ckpt", state, 5, 1, {})
    run = quietly(tmp_path / "last.ckpt", tmp_path / "run", task={"operation": "multiply"})
    assert run.config.task.operation == "multiply" and run.config.task.template == "^aob="
    torch.save({**state, "position_encoding": torch.zeros(50, 8)}, tmp_path / "odd.pt")
    with pytest.raises(SourceError, match="positions that are not the sinusoids"):
        import_run(tmp_path / "odd.pt", tmp_path / "no")
    assert openai_grok.train_pairs({"math_operator": "s5", "train_data_pct": 30}) is None


# One network in every wrapping


def small_states(tiny_run, chosen=(0, 100, 300)):
    return {s: tiny_run.step_weights(s) for s in chosen}


def check_series(run, tiny_run, unit="step"):
    assert run.steps == [0, 100, 300] and run.unit == unit
    for step in run.steps:
        assert run.index[step]["tensors"] == tiny_run.index[step]["tensors"]


@pytest.mark.parametrize("form", ["dict", "texts", "pairs", "list", "unsorted"])
def test_series_in_one_file(tiny_run, tmp_path, form):
    states = small_states(tiny_run)
    content = {
        "dict": states,
        "texts": {str(s): w for s, w in states.items()},
        "pairs": list(states.items()),
        "list": [{"step": s, "model": w} for s, w in states.items()],
        "unsorted": dict(reversed(states.items())),
    }[form]
    torch.save(content, tmp_path / "series.pt")
    check_series(quietly(tmp_path / "series.pt", tmp_path / "run"), tiny_run)


def test_checkpoint_folders(tiny_run, tmp_path):
    states = small_states(tiny_run)
    for step, weights in states.items():
        folder = tmp_path / "hf" / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        save_file(weights, folder / "model.safetensors")
        torch.save({"state": {}, "param_groups": []}, folder / "optimizer.pt")
    check_series(quietly(tmp_path / "hf", tmp_path / "run"), tiny_run)

    folder = tmp_path / "sharded" / "checkpoint-0"
    folder.mkdir(parents=True)
    names = list(states[0])
    halves = {"a.safetensors": names[:4], "b.safetensors": names[4:]}
    for file, part in halves.items():
        save_file({name: states[0][name] for name in part}, folder / file)
    index = {"weight_map": {name: file for file, part in halves.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    run = quietly(tmp_path / "sharded", tmp_path / "whole", task={"operation": "add"})
    assert run.index[0]["tensors"] == tiny_run.index[0]["tensors"]

    for i in (0, 1):
        folder = tmp_path / "accelerate" / f"checkpoint_{i}"
        folder.mkdir(parents=True)
        save_file(states[100 * i], folder / "model.safetensors")
    run = quietly(tmp_path / "accelerate", tmp_path / "counted", task={"operation": "add"})
    assert run.steps == [0, 1] and run.unit == "checkpoint"  # a counter, not a step


def test_names_and_copies(tiny_run, tmp_path):
    states = small_states(tiny_run)
    source = tmp_path / "run_a"
    source.mkdir()
    for step, weights in states.items():
        foreign.write_lightning(source / f"epoch=0-step={step}.ckpt", weights, step, 0, {}, prefix="model.")
    foreign.write_lightning(source / "last.ckpt", states[300], 300, 0, {}, prefix="model.")
    torch.save(states[300], source / "final.pt")  # says no step, and equals that of 300
    run = quietly(source, tmp_path / "run")
    check_series(run, tiny_run)
    assert {d["what"].rsplit("/", 1)[1] for d in run.record.source["duplicates"]} == {
        "last.ckpt",
        "final.pt",
    }

    torch.save(tiny_run.step_weights(200), source / "best.pt")
    with pytest.raises(SourceError, match=r"best\.pt says its step neither inside nor by its name"):
        import_run(source, tmp_path / "no")


def test_safetensors_with_a_step_inside(tiny_run, tmp_path):
    save_file(tiny_run.step_weights(100), tmp_path / "final.safetensors", metadata={"step": "100"})
    assert quietly(tmp_path / "final.safetensors", tmp_path / "run").steps == [100]


@pytest.mark.parametrize(
    ("name", "step", "unit"),
    [
        ("step_000100", 100, "step"), ("step=7", 7, "step"), ("epoch=3-step=40", 40, "step"),
        ("global_step12", 12, "step"), ("iter_50", 50, "step"), ("ckpt-9", 9, "step"), ("checkpoint-500", 500, "step"),
        ("checkpoint_2", 2, "checkpoint"), ("epoch_64", 64, "epoch"), ("1400", 1400, "step"), ("init", 0, "any"),
        ("grok_1400", 1400, "step"), ("run_initial", 0, "any"), ("small_2500000000", 2500000000, "tokens"),
        ("stage1-step1000-tokens5b", 1000, "step"),
    ],
)  # fmt: skip
def test_names(name, step, unit):
    assert steps.from_name(name) == (step, unit)


@pytest.mark.parametrize("name", ["final", "best", "last", "model_2layer", "pytorch_model", "9" * 30])
def test_names_without_a_step(name):
    assert steps.from_name(name) is None


def test_content_before_name():
    assert steps.from_content({"epoch": 3, "global_step": 40}) == (40, "step")
    assert steps.from_content({"epoch": 3, "step": True}) == (3, "epoch")
    assert steps.from_content({"step": -1}) is None
    for value in ("\u00b2", "\u0664", "9" * 5000, 10**18):
        assert steps.from_content({"step": value, "epoch": 3}) == (3, "epoch")
    assert steps.from_name("step_\u0664") is None and steps.from_name("9" * 17 + "b") is None
    assert steps.natural("9" * 5000) and steps.from_name("grok_2m") == (2 * 10**6, "tokens")


# What nobody knows


@functools.cache
def documented():
    """What the code of the adapter in docs/import.md defines."""
    text = (Path(__file__).parents[2] / "docs" / "import.md").read_text("utf-8")
    section = text[text.index("## Anything else: an adapter") :]
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]
    names: dict = {}
    exec(code.partition("\nlosses =")[0], names)
    return names


def mlp_adapter(path):
    """The worked example of docs/import.md, as it stands there."""
    return documented()["adapter"](path)


@pytest.mark.filterwarnings("ignore::interp.sources.files.reading.SourceWarning")
@pytest.mark.parametrize("biases", [(True, True), (False, True), (True, False), (False, False)])
def test_the_documented_adapter_takes_every_bias_and_refuses_what_is_left(tmp_path, biases):
    torch.manual_seed(0)
    p, (first, last) = 7, biases
    net = torch.nn.Sequential(
        torch.nn.Linear(2 * p, 9, bias=first), torch.nn.ReLU(), torch.nn.Linear(9, p, bias=last)
    )
    names = {"0": "fc1", "2": "fc2"}
    state = {f"{names[k[0]]}{k[1:]}": w for k, w in net.state_dict().items()}
    torch.save({"net": state, "log": [0.5]}, tmp_path / "3.pth")
    run = interp.open_run(tmp_path, adapter=mlp_adapter, task={"operation": "add"})
    a, b = run.task.tokens.T
    pairs = torch.cat([torch.eye(p)[a], torch.eye(p)[b]], 1)
    torch.testing.assert_close(logits_of(run, 3, run.task.tokens), net(pairs).detach(), **CLOSE)
    torch.save({"net": {**state, "norm.weight": torch.ones(9)}, "log": [0.5]}, tmp_path / "3.pth")
    with pytest.raises(ValueError, match=r"3\.pth holds more than this adapter knows: norm\.weight"):
        interp.open_run(tmp_path, adapter=mlp_adapter, task={"operation": "add"})


def test_adapter(tmp_path):
    import pandas as pd

    source, p = tmp_path / "mlp", 7
    source.mkdir()
    (source / "log.txt").write_text("epoch 0: 1.9")
    nets = {}
    for name in ("0", "200", "final"):
        net = torch.nn.Sequential(
            torch.nn.Linear(2 * p, 9), torch.nn.ReLU(), torch.nn.Linear(9, p, bias=False)
        )
        nets[name] = net
        state = {"fc1.weight": net[0].weight, "fc1.bias": net[0].bias, "fc2.weight": net[2].weight}
        torch.save(
            {"net": {k: v.detach() for k, v in state.items()}, "log": [0.5] * 1000}, source / f"{name}.pth"
        )
    history = pd.DataFrame({"step": [0], "train_loss": [0.5], "train_accuracy": [1.0], "test_loss": [2.0]})
    with pytest.raises(
        ValueError, match=r"A history needs the columns of Run\.history\(\), and lacks test_accuracy"
    ):
        import_run(source, tmp_path / "no", adapter=mlp_adapter, task={"operation": "add"}, history=history)
    run = import_run(
        source, tmp_path / "run", adapter=mlp_adapter, task={"operation": "add"}, unit="epoch",
        history=history.assign(test_accuracy=0.1),
    )  # fmt: skip
    assert run.steps == [0, 200, 1000] and run.unit == "epoch" and run.history().test_loss.tolist() == [2.0]
    a, b = run.task.tokens.T
    pairs = torch.cat([torch.eye(p)[a], torch.eye(p)[b]], 1)
    torch.testing.assert_close(logits_of(run, 1000, run.task.tokens), nets["final"](pairs).detach(), **CLOSE)
    with pytest.raises(SourceError, match=r"The adapter gave -1 as the step"):
        import_run(
            source, tmp_path / "no", adapter=lambda path: (-1, {}, None) if path.suffix == ".pth" else None
        )


def test_model_config_of_an_import_is_whole(tiny_run, tmp_path):
    """What was imported can be opened again, with the same config."""
    from interp.runs.run import open_run

    torch.save(tiny_run.step_weights(300), tmp_path / "300.pt")
    run = quietly(tmp_path / "300.pt", tmp_path / "run")
    again = open_run(run.path)
    assert again.config == run.config and isinstance(again.config.model, ModelConfig)
    assert again.config.optimizer is None and again.config.n_steps is None
