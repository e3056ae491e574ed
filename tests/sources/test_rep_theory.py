"""The layout of Chughtai et al.: elements numbered and composed otherwise, the split as their code draws it."""

import itertools
import json
import zipfile

import pytest
import torch

import interp
from interp.checks.of_source import verify_source
from interp.mathematics.groups import named_group
from interp.networks.plain import forward
from interp.probes.answers.losses import losses
from interp.snapshots.snapshot import Snapshot
from interp.sources import import_run
from interp.sources.files.reading import SourceError
from interp.sources.formats.rep_theory import elements_of_theirs

CFG = {
    "lr": 0.001, "weight_decay": 1, "betas": [0.9, 0.98], "layers": {"embed_dim": 6, "hidden_dim": 36},
    "model": "OneLayerMLP", "group": "SymmetricGroup", "group_parameter": 3, "frac_train": 0.4, "seed": 2,
    "num_epochs": 21,
}  # fmt: skip

# As sympy 1.11.1 lists them, written by their images; S4 and the others from their eighth on.
SYMPY_S3 = ["012", "120", "201", "021", "102", "210"]
SYMPY_EIGHTH = {"S4": "3201", "S5": "24031", "S6": "134520", "A5": "24310"}
SYMPY_IDENTITY = {"S3": 0, "S4": 0, "S5": 20, "S6": 60, "A5": 0}


def their_product(x, y):
    """Composition in their code: x first."""
    return "".join(y[int(i)] for i in x)


def their_table(elements):
    index = {name: i for i, name in enumerate(elements)}
    return torch.tensor([[index[their_product(x, y)] for y in elements] for x in elements])


def theirs(group):
    """Their elements, written by their images, from the numbering under test."""
    finite = named_group(group)
    return [finite.elements[finite.inverse[i]] for i in elements_of_theirs(group, "here")]


@pytest.mark.parametrize("group", ["S3", "S4", "S5", "A5"])
def test_their_numbering_and_order_of_composition_is_an_isomorphism(group):
    elements = theirs(group)
    assert len(set(elements)) == named_group(group).order
    ours = elements_of_theirs(group, "here")
    assert torch.equal(ours[their_table(elements)], named_group(group).table[ours[:, None], ours])


def test_their_numbering_is_that_of_sympy():
    assert theirs("S3") == SYMPY_S3
    for group, eighth in SYMPY_EIGHTH.items():
        assert theirs(group)[7] == eighth, group
    for group, identity in SYMPY_IDENTITY.items():
        elements = theirs(group)
        assert elements[identity] == "".join(sorted(elements[0])), group


def exact_mlp():
    """A network in their form that composes in S3 exactly: one ReLU a pair, 1_a(x) + 1_b(y) - 1, without biases."""
    n, table = 6, their_table(SYMPY_S3)
    w = torch.cat([torch.eye(n).repeat_interleave(n, 1), torch.eye(n).repeat(1, n) - 1])
    w_u = 9.0 * torch.nn.functional.one_hot(table.flatten(), n).float()
    return {"W_x": torch.eye(n), "W_y": torch.eye(n), "W": w, "W_U": w_u}


def their_logits(state):
    x, y = torch.cartesian_prod(torch.arange(6), torch.arange(6)).T
    return torch.relu(torch.hstack([state["W_x"][x], state["W_y"][y]]) @ state["W"]) @ state["W_U"]


def save_as_on_a_gpu(state, path):
    """A file of torch.save whose tensors lay on a GPU: its pickle says so."""
    torch.save(state, path)
    with zipfile.ZipFile(path) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries:
            archive.writestr(name, data.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0"))
    assert b"cuda:0" in path.read_bytes()


def train_rows(n=6, seed=2, share=0.4):
    torch.manual_seed(seed)
    return torch.randperm(n * n)[: int(share * n * n)]


def write(folder, *, cfg=CFG, epochs=(0, 1, 10, 20), state=exact_mlp):
    """An experiment as their code leaves it."""
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "cfg.json").write_text(json.dumps(cfg))
    labels, rows = their_table(SYMPY_S3).flatten(), train_rows()
    is_train = torch.zeros(36, dtype=torch.bool)
    is_train[rows] = True
    lines = [",train_loss,test_loss,train_acc,test_acc,logit_sign_rep_trace_similarity,epoch"]
    for i, epoch in enumerate(epochs):
        weights = {name: w * (0.5 + epoch / 40) for name, w in state().items()}
        save_as_on_a_gpu(weights, folder / "checkpoints" / f"epoch_{epoch}.pt")
        logits = their_logits(weights) if "W_x" in weights else torch.zeros(36, 6)
        loss = torch.nn.functional.cross_entropy(logits.double(), labels, reduction="none")
        values = [loss[is_train].mean().item(), loss[~is_train].mean().item(), 1.0, 1.0, 0.5, epoch]
        lines.append(",".join(map(str, [i, *values])))
    (folder / "metrics.csv").write_text("\n".join(lines))
    (folder / "summary_metrics.json").write_text(json.dumps({"train_loss": 0.1, "epoch": 21.0}))
    save_as_on_a_gpu(weights, folder / "model.pt")
    return folder


def test_an_experiment_is_opened_in_the_names_of_the_group(tmp_path):
    run = interp.open_run(write(tmp_path / "S3_MLP_seed2"))
    assert run.steps == [0, 1, 10, 20]
    assert run.unit == "epoch"
    assert run.record.source["format"] == "rep-theory"
    config = run.config.task
    assert (config.family, config.group, config.separate_vocabularies) == ("groups", "S3", True)
    snapshot = Snapshot.of(run, 20)
    table = losses(snapshot).set_index("split")
    assert table.loc["all", "accuracy"] == 1
    history = run.history().set_index("step")
    assert history.loc[20, "train_loss"] == pytest.approx(table.loc["train", "loss"], rel=1e-9)
    assert history.loc[20, "test_loss"] == pytest.approx(table.loc["test", "loss"], rel=1e-9)
    assert run.recorded()["logit_sign_rep_trace_similarity"].tolist() == [0.5] * 4


def test_every_logit_is_theirs_under_other_names(tmp_path):
    run = interp.open_run(write(tmp_path / "S3"))
    state = torch.load(tmp_path / "S3" / "model.pt", map_location="cpu", weights_only=True)
    want = their_logits(state).view(6, 6, 6)
    ours = elements_of_theirs("S3", "here")
    tokens = torch.stack(torch.meshgrid(ours, 6 + ours, indexing="ij"), -1).flatten(0, 1)
    found = forward(run.config.model, run.step_weights(20), tokens)[:, -1].view(6, 6, 6)
    torch.testing.assert_close(found[..., ours], want)
    # It is no accident of a symmetric network.
    assert not torch.allclose(found, want)


def test_the_split_is_drawn_as_their_code_draws_it(tmp_path):
    run = interp.open_run(write(tmp_path / "S3"))
    ours = elements_of_theirs("S3", "here")
    rows = train_rows()
    want = {(int(a), int(b)) for a, b in zip(ours[rows // 6], ours[rows % 6], strict=True)}
    pairs = run.task.config.pairs()[run.task.split]
    assert {tuple(pair) for pair in pairs.tolist()} == want
    assert run.record.source["task"]["split"] == "torch.randperm of rep-theory-mech-interp, seed 2"
    unshuffled = interp.open_run(write(tmp_path / "zero", cfg=CFG | {"seed": 0}))
    first = torch.arange(36)[:14]
    want = {(int(a), int(b)) for a, b in zip(ours[first // 6], ours[first % 6], strict=True)}
    assert {tuple(p) for p in unshuffled.task.config.pairs()[unshuffled.task.split].tolist()} == want


def test_recorded_losses_tell_a_wrong_numbering(tmp_path, monkeypatch):
    from interp.sources.formats import rep_theory

    source = write(tmp_path / "S3")
    assert not [finding for finding in verify_source(source).findings if "loss" in finding.message]
    monkeypatch.setattr(rep_theory, "elements_of_theirs", lambda group, where: torch.arange(6))
    told = [finding for finding in verify_source(source).findings if "loss" in finding.message]
    assert told and told[0].level == "problem"


def test_doors_of_an_experiment(tmp_path):
    """The folder, its checkpoints, one of them, and a folder that has the final weights alone."""
    folder = write(tmp_path / "S3")
    assert interp.open_run(folder / "checkpoints").steps == [0, 1, 10, 20]
    one = interp.open_run(folder / "checkpoints" / "epoch_10.pt")
    assert one.steps == [10] and one.config.task.group == "S3"
    last = interp.open_run(folder / "model.pt")
    assert last.steps == [21] and last.config.task.group == "S3"
    for file in (folder / "checkpoints").iterdir():
        file.unlink()
    assert interp.open_run(folder).steps == [21]
    imported = import_run(folder, tmp_path / "run")
    assert imported.config.task.split == "explicit"
    assert imported.task.n_train == 14


def transformer_state():
    from interp.networks.config import initial_weights, transformer_config

    config = transformer_config(
        p=6, n_ctx=3, d_vocab=7, n_layers=1, d_model=8, n_heads=2, d_mlp=8, act_fn="relu"
    )
    weights = initial_weights(config, 0)
    zeros = {"blocks.0.attn.b_Q": (2, 4), "blocks.0.attn.b_O": (8,), "unembed.b_U": (6,)}
    zeros |= {"blocks.0.attn.b_K": (2, 4), "blocks.0.attn.b_V": (2, 4)}
    state = {**weights, **{name: torch.zeros(shape) for name, shape in zeros.items()}}
    state["unembed.b_U"] = torch.arange(6.0)
    state["blocks.0.attn.mask"] = torch.ones(3, 3).tril().bool()
    state["blocks.0.attn.IGNORE"] = torch.tensor(-1e5)
    return state


def test_a_transformer_is_renamed_too(tmp_path):
    cfg = CFG | {"model": "Transformer"}
    run = interp.open_run(write(tmp_path / "S3_T", cfg=cfg, state=transformer_state))
    assert (run.config.task.equals_token, run.config.task.separate_vocabularies) == (True, False)
    state = transformer_state()
    scale = 0.5 + 20 / 40
    weights = {n: w * scale for n, w in state.items() if not n.endswith(("mask", "IGNORE"))}
    ours = elements_of_theirs("S3", "here")
    pairs = torch.cartesian_prod(torch.arange(6), torch.arange(6))
    theirs = forward(run.config.model, weights, torch.nn.functional.pad(pairs, (0, 1), value=6))[:, -1]
    renamed = torch.nn.functional.pad(ours[pairs], (0, 1), value=6)
    found = forward(run.config.model, run.step_weights(20), renamed)[:, -1]
    torch.testing.assert_close(found[:, ours], theirs)
    assert not torch.allclose(found, theirs)


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        (
            {"group": "MonsterGroup"},
            "group='MonsterGroup' and group_parameter=3; needed are one of CyclicGroup",
        ),
        ({"group_parameter": "3x"}, "group_parameter='3x'"),
        (
            {"group_parameter": 7},
            "of the group S7, whose elements that code numbers in an order that is not known",
        ),
        ({"group_parameter": 4}, r"holds W_x of shape \(6, 6\), where \(24, any\) fits"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, cfg, message):
    with pytest.raises(SourceError, match=message):
        interp.open_run(write(tmp_path / "x", cfg=CFG | cfg))


def test_a_transformer_of_another_experiment_is_refused(tmp_path):
    cfg = CFG | {"model": "Transformer", "group_parameter": 4}
    with pytest.raises(
        SourceError, match="has 7 tokens and 6 logits, but its cfg.json names a group of 24 elements"
    ):
        interp.open_run(write(tmp_path / "x", cfg=cfg, state=transformer_state))


@pytest.mark.parametrize(
    ("group", "parameter", "name"), [("CyclicGroup", 6, "C6"), ("DihedralGroup", 3, "D3")]
)
def test_cyclic_and_dihedral_elements_are_numbered_as_here(tmp_path, group, parameter, name):
    cfg = CFG | {"group": group, "group_parameter": parameter}
    run = interp.open_run(write(tmp_path / name, cfg=cfg))
    assert run.config.task.group == name
    state = torch.load(tmp_path / name / "model.pt", map_location="cpu", weights_only=True)
    weights = run.step_weights(20)
    torch.testing.assert_close(weights["unembed.W_U"], state["W_U"])
    torch.testing.assert_close(weights["embed.W_E"], torch.cat([state["W_x"], state["W_y"]]))


def test_their_dihedral_group_is_ours():
    """Their compose(), for elements r + s * index."""
    n, table = 5, named_group("D5").table
    for x, y in itertools.product(range(10), repeat=2):
        (x_s, x_r), (y_s, y_r) = divmod(x, n), divmod(y, n)
        r, s = ((x_r + y_r) % n, y_s) if x_s == 0 else ((x_r - y_r) % n, (1 + y_s) % 2)
        assert table[x, y] == r + s * n


def test_without_a_config_it_is_of_no_known_format(tmp_path):
    folder = write(tmp_path / "S3")
    (folder / "cfg.json").unlink()
    with pytest.raises(SourceError, match=r"of no known format:\n    'W_x' \(6, 6\)"):
        interp.open_run(folder)
