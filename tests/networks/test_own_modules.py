"""A user's own module: hooked as it is, and probed as if the package had built it."""

import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn.functional import one_hot, relu

from interp.networks.config import initial_weights, transformer_config
from interp.networks.hooked_module import HookedModule
from interp.networks.network import DescribedNetwork
from interp.probes.answers.losses import losses
from interp.probes.attention.attention_patterns import attention_patterns
from interp.probes.fourier.embedding_spectrum import embedding_spectrum
from interp.probes.fourier.logit_spectrum import logit_spectrum
from interp.probes.fourier.neuron_frequencies import neuron_frequencies
from interp.probes.fourier.neuron_logit_spectrum import neuron_logit_spectrum
from interp.probes.fourier.progress_measures import progress_measures
from interp.probes.weights.weight_norms import weight_norms
from interp.snapshots.of_module import snapshot_of_module
from interp.snapshots.snapshot import NotApplicable, Snapshot
from interp.tasks.modular import ModularConfig

P, WIDTH = 13, 24
TASK = ModularConfig(
    operation="add", p=P, train_fraction=0.5, equals_token=False, separate_vocabularies=False,
    corrupted_fraction=0.0, split="shuffle", split_seed=0,
).task()  # fmt: skip


class OneHotMLP(nn.Module):
    """Somebody's network: one hidden layer on one-hot pairs."""

    def __init__(self):
        super().__init__()
        self.name = "mine"
        self.fc1 = nn.Linear(2 * P, WIDTH)
        self.fc2 = nn.Linear(WIDTH, P, bias=False)

    def forward(self, pairs):
        return self.fc2(relu(self.fc1(pairs)))


def pairs_of(tokens):
    return one_hot(tokens, P).flatten(1).float()


def mine(seed=0):
    torch.manual_seed(seed)
    return OneHotMLP()


def ours(module):
    """The same network built here, as the oracle."""
    config = transformer_config(
        p=P,
        n_ctx=2,
        d_vocab=P,
        n_layers=1,
        d_model=P,
        n_heads=0,
        d_mlp=WIDTH,
        act_fn="relu",
        one_hot_embed=True,
    )
    weights = {
        "blocks.0.mlp.W_in": module.fc1.weight.detach().T.clone(),
        "blocks.0.mlp.b_in": module.fc1.bias.detach().clone(),
        "unembed.W_U": module.fc2.weight.detach().T.clone(),
    }
    assert weights.keys() == initial_weights(config, 0).keys()
    return Snapshot(0, weights, DescribedNetwork(config), TASK)


def snapshot(hooked, **changes):
    names = {"inputs": pairs_of, "neurons": "fc2.hook_in", "pattern": None}
    return snapshot_of_module(0, hooked, TASK, **names | changes)


def test_hooks_change_nothing_and_see_everything():
    module = mine()
    keys, x = list(module.state_dict()), pairs_of(TASK.tokens)
    expected = module(x)
    hooked = HookedModule(module)
    assert set(hooked.hook_dict) == {"fc1.hook_in", "fc1.hook_out", "fc2.hook_in", "fc2.hook_out"}
    logits, cache = hooked.run_with_cache(x)
    assert torch.equal(logits, expected) and torch.equal(module(x), expected)
    assert torch.equal(cache["fc1.hook_in"], x) and torch.equal(cache["fc2.hook_out"], expected)
    assert torch.equal(cache["fc2.hook_in"], relu(cache["fc1.hook_out"]))
    assert list(module.state_dict()) == keys and module.name == "mine"
    assert "name" not in vars(module.fc1)


def test_interventions_reach_the_output_and_end():
    module, x = mine(), pairs_of(TASK.tokens)
    hooked = HookedModule(module)
    zeroed = hooked.run_with_hooks(x, fwd_hooks=[("fc2.hook_in", lambda h, hook: torch.zeros_like(h))])
    assert zeroed.abs().max() == 0
    halved = hooked.run_with_hooks(x, fwd_hooks=[("fc2.hook_out", lambda h, hook: h / 2)])
    assert torch.equal(halved, module(x) / 2)
    assert module(x).abs().max() > 0
    hooked.unhook()
    hooked.add_hook("fc2.hook_out", lambda h, hook: h * 0)
    assert module(x).abs().max() > 0


def test_gradients_flow_through_the_hooks():
    module, x = mine(), pairs_of(TASK.tokens)
    module(x).sum().backward()
    expected = module.fc1.weight.grad.clone()
    module.zero_grad()
    HookedModule(module)(x).sum().backward()
    assert torch.equal(module.fc1.weight.grad, expected)


def test_nested_tuples_and_shared_parts():
    class Layered(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(2)])
            self.rnn = nn.GRU(4, 4, batch_first=True)

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return self.rnn(x)[0]

    hooked = HookedModule(Layered())
    x = torch.randn(2, 3, 4)
    out, cache = hooked.run_with_cache(x)
    assert torch.equal(cache["rnn.hook_out"], out) and torch.equal(cache["layers.0.hook_in"], x)
    assert torch.equal(cache["layers.1.1.hook_out"], cache["rnn.hook_in"])
    doubled = hooked.run_with_hooks(x, fwd_hooks=[("rnn.hook_out", lambda h, hook: 2 * h)])
    assert torch.equal(doubled, 2 * out)


def test_names_that_hooked_models_use_are_refused():
    module = nn.Module()
    module.add_module("hooks", nn.Linear(2, 2))
    with pytest.raises(ValueError, match="'hooks' of 'hooks' is a name that hooked models use"):
        HookedModule(module)


@pytest.mark.parametrize("probe", [losses, logit_spectrum, progress_measures, neuron_frequencies])
def test_probes_see_the_same_network_as_if_it_were_ours(probe):
    module = mine()
    theirs, expected = probe(snapshot(HookedModule(module))), probe(ours(module))
    # Two orders of the same float32 sums.
    pd.testing.assert_frame_equal(theirs, expected, rtol=1e-3, atol=1e-5, check_exact=False)


def test_the_planted_frequency_is_found():
    module, angle = mine(), 2 * torch.pi * 3 * torch.arange(P) / P
    phase = 2 * torch.pi * torch.arange(WIDTH) / WIDTH
    with torch.no_grad():  # neuron: relu(cos(w a - t) + cos(w b - t)); answer: cos(w c - 2 t)
        module.fc1.weight.copy_((angle - phase[:, None]).cos().repeat(1, 2))
        module.fc1.bias.zero_()
        module.fc2.weight.copy_((angle[:, None] - 2 * phase).cos())
    found = snapshot(HookedModule(module))
    assert set(neuron_frequencies(found)["frequency"]) == {3}
    best = logit_spectrum(found).set_index("frequency")["fraction_explained"]
    assert best.idxmax() == 3 and best[3] > 0.5
    table = losses(found).set_index("split")
    assert table.loc["all", "accuracy"] == 1.0


def test_a_snapshot_is_of_its_own_weights_whatever_the_module_does_next():
    module = mine()
    hooked = HookedModule(module)
    first = snapshot(hooked)
    before = first.logits.clone(), first.weights["fc1.weight"].clone()
    module.load_state_dict(mine(seed=1).state_dict())
    assert torch.equal(first.logits, before[0]) and torch.equal(first.weights["fc1.weight"], before[1])
    assert not torch.equal(snapshot(hooked).logits, before[0])
    total = weight_norms(first).set_index("matrix").loc["total"]
    assert total["n_parameters"] == sum(w.numel() for w in module.parameters())


def test_a_series_of_states_becomes_one_table(tmp_path):
    for step in (0, 200, 400):
        torch.save(mine(seed=step).state_dict(), tmp_path / f"{step}.pth")
    module = mine()
    hooked, tables = HookedModule(module), []
    for step in (0, 200, 400):
        module.load_state_dict(torch.load(tmp_path / f"{step}.pth", weights_only=True))
        tables.append(losses(snapshot(hooked)).assign(step=step))
    table = pd.concat(tables)
    direct = losses(ours(mine(seed=200))).set_index("split")["loss"]
    ours_now = table[table["step"] == 200].set_index("split")["loss"]
    pd.testing.assert_series_equal(ours_now, direct, rtol=1e-5)


def test_patterns_and_positions():
    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.pattern, self.out = nn.Embedding(P, 8), nn.Softmax(-1), nn.Linear(8, P)

        def forward(self, tokens):
            x = self.embed(tokens)
            pattern = self.pattern(x @ x.transpose(1, 2))[:, None]
            return self.out(self.keep(pattern)[:, 0] @ x)

        def keep(self, pattern):
            return self.identity(pattern)

    torch.manual_seed(0)
    module = Attends()
    module.identity = nn.Identity()
    seen = snapshot_of_module(
        0,
        HookedModule(module),
        TASK,
        inputs=lambda t: t,
        neurons="embed.hook_out",
        pattern="identity.hook_out",
    )
    assert seen.logits.shape == (P * P, P) and seen.neurons.shape == (P * P, 8)
    assert torch.equal(seen.logits, module(TASK.tokens)[:, -1])
    assert seen.pattern.shape == (P * P, 1, 1, 2)
    torch.testing.assert_close(seen.pattern.sum(-1), torch.ones(P * P, 1, 1))


@pytest.mark.parametrize(
    ("probe", "message"),
    [
        (embedding_spectrum, "This network has no weight that is known to be W_E"),
        (neuron_logit_spectrum, "This network has no model config"),
        (attention_patterns, "no attention"),
    ],
)
def test_what_does_not_apply_says_so(probe, message):
    with pytest.raises(NotApplicable, match=message):
        probe(snapshot(HookedModule(mine())))
    with pytest.raises(NotApplicable, match="no model that can be built"):
        snapshot(HookedModule(mine())).model


def test_neurons_that_nobody_named():
    with pytest.raises(NotApplicable, match="no MLP neurons"):
        neuron_frequencies(snapshot(HookedModule(mine()), neurons=None))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"neurons": "fc3.hook_in"}, r"no hook 'fc3.hook_in'. Its hooks are fc1.hook_in"),
        (
            {"inputs": lambda t: pairs_of(t)[:5]},
            r"needs logits for 169 examples and 13 answers, got \(5, 13\)",
        ),
        ({"pattern": "fc1.hook_out"}, r"needs fc1.hook_out for 169 examples, got \(169, 24\)"),
    ],
)
def test_wrong_hooks_and_shapes_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        snapshot(HookedModule(mine()), **changes)
