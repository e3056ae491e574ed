"""MLPs of torch's own layers: recognised where the shapes leave one reading, with torch's logits; else told apart."""

import re

import pytest
import torch
from torch import nn
from torch.nn.functional import one_hot

import interp
from interp.networks import plain
from interp.sources import SourceError, SourceWarning
from interp.sources.survey import Adapter

P, H, D = 7, 12, 5
PAIRS = torch.cartesian_prod(torch.arange(P), torch.arange(P))

pytestmark = pytest.mark.filterwarnings("ignore::interp.sources.files.reading.SourceWarning")


class Parts(nn.Module):
    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)


def side_by_side(net):
    return net.fc2(net.fc1(one_hot(PAIRS, P).flatten(1).float()).relu())


def summed(net):
    return net.fc2(net.fc1(one_hot(PAIRS, P).sum(1).float()).relu())


def embedded(net):
    return net.fc2(net.fc1(net.embedding(PAIRS).flatten(1)).relu())


def embedded_sum(net):
    return net.fc2(net.fc1(net.embedding(PAIRS).sum(1)).relu())


def two_embeddings(net):
    x = torch.cat([net.embed_a(PAIRS[:, 0]), net.embed_b(PAIRS[:, 1])], 1)
    return net.fc2(net.fc1(x).relu())


def with_equals(net):
    rows = torch.cat([PAIRS, torch.full((P * P, 1), P)], 1)
    return net.fc2(net.fc1(net.embedding(rows).flatten(1)).relu())


def two_hidden(net):
    return net.out(net.second(net.first(one_hot(PAIRS, P).flatten(1).float()).relu()).relu())


NETWORKS = {
    "side by side": (lambda: Parts(fc1=nn.Linear(2 * P, H), fc2=nn.Linear(H, P)), side_by_side),
    "no biases": (
        lambda: Parts(fc1=nn.Linear(2 * P, H, bias=False), fc2=nn.Linear(H, P, bias=False)), side_by_side,
    ),
    "output bias only": (lambda: Parts(fc1=nn.Linear(2 * P, H, bias=False), fc2=nn.Linear(H, P)), side_by_side),
    "summed": (lambda: Parts(fc1=nn.Linear(P, H), fc2=nn.Linear(H, P, bias=False)), summed),
    "embedded": (
        lambda: Parts(embedding=nn.Embedding(P, D), fc1=nn.Linear(2 * D, H), fc2=nn.Linear(H, P)), embedded,
    ),
    "embedded, an unused token": (
        lambda: Parts(embedding=nn.Embedding(P + 1, D), fc1=nn.Linear(2 * D, H), fc2=nn.Linear(H, P)), embedded,
    ),
    "embedded with =": (
        lambda: Parts(embedding=nn.Embedding(P + 1, D), fc1=nn.Linear(3 * D, H), fc2=nn.Linear(H, P)), with_equals,
    ),
    "embedded and summed": (
        lambda: Parts(embedding=nn.Embedding(P, D), fc1=nn.Linear(D, H), fc2=nn.Linear(H, P)), embedded_sum,
    ),
    "an embedding an operand": (
        lambda: Parts(
            embed_a=nn.Embedding(P, D), embed_b=nn.Embedding(P, D), fc1=nn.Linear(2 * D, H), fc2=nn.Linear(H, P)
        ), two_embeddings,
    ),
    "modules in a row": (
        lambda: nn.Sequential(
            nn.Embedding(P, D), nn.Flatten(), nn.Linear(2 * D, H), nn.ReLU(), nn.Linear(H, H), nn.ReLU(),
            nn.Linear(H, P),
        ), lambda net: net(PAIRS),
    ),
    "two hidden layers": (
        lambda: Parts(first=nn.Linear(2 * P, H), second=nn.Linear(H, H), out=nn.Linear(H, P)), two_hidden,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("wrapped", ["plain", "safetensors", "lightning"])
def test_logits_are_those_of_torch(tmp_path, name, wrapped):
    make, logits = NETWORKS[name]
    torch.manual_seed(0)
    net = make()
    if wrapped == "safetensors":
        from safetensors.torch import save_file

        # Names come back in the order of the alphabet.
        save_file(net.state_dict(), tmp_path / "0.safetensors")
    elif wrapped == "lightning":
        state = {f"model.{k}": w for k, w in net.state_dict().items()}
        torch.save({"state_dict": state, "global_step": 0}, tmp_path / "0.ckpt")
    else:
        torch.save(net.state_dict(), tmp_path / "0.pt")
    run = interp.open_run(tmp_path, task={"operation": "add"})
    assert run.record.source["format"] == "mlp" and run.config.task.p == P and len(run.task.inputs) == P * P
    found = plain.forward(run.config.model, run.step_weights(0), run.task.inputs)[:, 0]
    torch.testing.assert_close(found, logits(net).detach(), atol=1e-5, rtol=1e-5)
    assert ("summed_embed" in run.record.source["assumed"]) == ("summed" in name)
    torch.testing.assert_close(run.model(0)(run.task.inputs)[:, 0], found)


@pytest.mark.parametrize("is_left", [False, True])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("n", [1, 2])
def test_matrices_by_themselves_stand_as_their_shapes_say(tmp_path, is_left, biased, n):
    generator = torch.Generator().manual_seed(0)
    w_in, w_out = torch.randn(n * P, H, generator=generator), torch.randn(H, P, generator=generator)
    state = {"W_in": w_in.T.clone(), "W_out": w_out.T.clone()} if is_left else {"W_in": w_in, "W_out": w_out}
    b = torch.randn(H, generator=generator) if biased else torch.zeros(H)
    torch.save(state | ({"b_in": b} if biased else {}), tmp_path / "0.pt")
    stated = {"operation": "add"} if biased or n == 2 else {"operation": "add", "p": P}
    run = interp.open_run(tmp_path / "0.pt", task=stated)
    x = one_hot(PAIRS, P).float()
    x = x.flatten(1) if n == 2 else x.sum(1)
    found = plain.forward(run.config.model, run.step_weights(0), run.task.inputs)[:, 0]
    torch.testing.assert_close(found, (x @ w_in + b).relu() @ w_out, atol=1e-5, rtol=1e-5)


def adapter_in(message: str) -> str:
    return message[re.search(r"^(import torch|import interp)$", message, re.MULTILINE).start() :]


def test_several_readings_are_told_apart_with_an_adapter_that_works(tmp_path):
    torch.manual_seed(0)
    net = Parts(alpha=nn.Linear(P, H, bias=False), beta=nn.Linear(H, P, bias=False))
    torch.save(net.state_dict(), tmp_path / "5.pt")
    with pytest.raises(SourceError) as refused:
        interp.open_run(tmp_path / "5.pt", task={"operation": "add"})
    told = str(refused.value)
    assert "leave 2 readings" in told and "'alpha.weight' (12, 7)" in told
    assert (
        "'alpha.weight' -> 'beta.weight' as (out, in): one-hot operands, summed, 12 neurons a layer, 7 answers"
        in told
    )
    assert (
        "'beta.weight' -> 'alpha.weight' as (out, in): one-hot operands, summed, 7 neurons a layer, 12 answers"
        in told
    )
    # A modulus decides, and so does the adapter as it stands.
    by_modulus = interp.open_run(tmp_path / "5.pt", task={"operation": "add", "p": P})
    names: dict = {}
    exec(adapter_in(told).partition("\nrun =")[0], names)
    adapter: Adapter = names["adapter"]
    by_adapter = interp.open_run(tmp_path, adapter=adapter, task={"operation": "add"})
    assert by_adapter.steps == [5] and by_adapter.config.model == by_modulus.config.model
    for name, w in by_modulus.step_weights(5).items():
        assert torch.equal(by_adapter.step_weights(5)[name], w)


def test_tensors_of_no_format_are_listed_with_an_adapter_to_start_from(tmp_path):
    torch.save({"tok_emb.weight": torch.ones(8, 4), "rnn.kernel": torch.ones(4, 4, 2)}, tmp_path / "0.pt")
    with pytest.raises(SourceError) as refused:
        interp.open_run(tmp_path / "0.pt")
    told = str(refused.value)
    assert "of no known format:\n    'tok_emb.weight' (8, 4)\n    'rnn.kernel' (4, 4, 2)\n" in told
    code = adapter_in(told)
    assert "'embed.W_E': state['tok_emb.weight'],  # (8, 4)" in code
    assert (
        "'? rnn.kernel': state['rnn.kernel'],  # (4, 4, 2)" in code
        and f"import_run({str(tmp_path / '0.pt')!r}" in code
    )
    compile(code, "adapter", "exec")


def test_bare_tensors_of_no_format_are_listed_too(tmp_path):
    torch.save({"kernel": torch.ones(3, 4), "other": torch.ones(9, 9)}, tmp_path / "0.pt")
    with pytest.raises(
        SourceError, match=r"of no known format:\n    'kernel' \(3, 4\)\n    'other' \(9, 9\)"
    ):
        interp.open_run(tmp_path / "0.pt")
    # Lists of numbers are no weights, whatever their names.
    torch.save({"train_losses": torch.ones(9), "test_losses": torch.ones(9)}, tmp_path / "0.pt")
    with pytest.raises(SourceError, match="holds no state dict at its top"):
        interp.open_run(tmp_path / "0.pt")


def test_what_no_network_here_has_is_named(tmp_path):
    net = Parts(fc1=nn.Linear(2 * P, H), norm=nn.LayerNorm(H), fc2=nn.Linear(H, P))
    torch.save(net.state_dict(), tmp_path / "0.pt")
    with pytest.raises(SourceError, match=r"tensors that its format does not know: norm\.weight, norm\.bias"):
        interp.open_run(tmp_path / "0.pt")


def test_layers_of_several_widths_are_no_network_here(tmp_path):
    net = Parts(fc1=nn.Linear(2 * P, H), fc2=nn.Linear(H, H + 1), fc3=nn.Linear(H + 1, P))
    torch.save(net.state_dict(), tmp_path / "0.pt")
    with pytest.raises(SourceError, match=r"of no known format:\n    'fc1.weight' \(12, 14\)"):
        interp.open_run(tmp_path / "0.pt")


def test_a_series_is_imported_with_its_steps_and_a_sum_is_warned_of(tmp_path):
    for step in (0, 10):
        torch.manual_seed(step)
        net = Parts(fc1=nn.Linear(P, H), fc2=nn.Linear(H, P))
        (tmp_path / "theirs").mkdir(exist_ok=True)
        torch.save(net.state_dict(), tmp_path / "theirs" / f"step_{step}.pt")
    with pytest.warns(SourceWarning, match="do not show act_fn='relu', summed_embed=True: that is assumed"):
        run = interp.import_run(tmp_path / "theirs", tmp_path / "run", task={"operation": "add"})
    assert run.steps == [0, 10] and interp.open_run(run.path).config.model.summed_embed
