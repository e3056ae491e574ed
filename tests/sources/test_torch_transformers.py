"""Transformers around torch's own attention: torch's logits, or the part that no network here has is named."""

import math

import pytest
import torch
from torch import nn

import interp
from interp.networks import plain
from interp.sources import SourceError, SourceWarning

P, D, HEADS, WIDE = 7, 8, 2, 20
ROWS = torch.cat([torch.cartesian_prod(torch.arange(P), torch.arange(P)), torch.full((P * P, 1), P)], 1)

pytestmark = pytest.mark.filterwarnings("ignore::interp.sources.files.reading.SourceWarning")


class Encoder(nn.Module):
    """The usual one: an embedding, positions, torch's encoder, an output layer read at the last position."""

    def __init__(self, *, n_layers=1, n_ctx=3, positions="learned", norm_first=False, last_norm=False, mask=None,
                 head_bias=True, activation="relu", bias=True, n_tokens=P + 1):  # fmt: skip
        super().__init__()
        self.embedding = nn.Embedding(n_tokens, D)
        self.positions = positions
        if positions == "learned":
            self.pos_embedding = nn.Embedding(n_ctx, D)
        elif positions == "parameter":
            self.pos = nn.Parameter(torch.randn(1, n_ctx, D))
        elif positions == "sinusoidal":
            self.register_buffer("pe", sinusoids(50, D)[:, None])
        layer = nn.TransformerEncoderLayer(
            D,
            HEADS,
            WIDE,
            dropout=0.0,
            batch_first=True,
            norm_first=norm_first,
            activation=activation,
            bias=bias,
        )
        norm = nn.LayerNorm(D) if last_norm else None
        self.encoder = nn.TransformerEncoder(layer, n_layers, norm=norm, enable_nested_tensor=False)
        self.head = nn.Linear(D, P, bias=head_bias)
        if mask is not None:
            self.register_buffer("mask", mask)

    def forward(self, rows):
        x = self.embedding(rows)
        if self.positions == "learned":
            x = x + self.pos_embedding.weight
        elif self.positions == "parameter":
            x = x + self.pos
        elif self.positions == "sinusoidal":
            x = x + self.pe[: rows.shape[1], 0]
        return self.head(self.encoder(x, mask=getattr(self, "mask", None))[:, -1])


def sinusoids(n, d):
    angle = torch.arange(n)[:, None] * torch.exp(torch.arange(0, d, 2) * (-math.log(10000.0) / d))
    out = torch.zeros(n, d)
    out[:, 0::2], out[:, 1::2] = angle.sin(), angle.cos()
    return out


class OwnBlock(nn.Module):
    """nn.MultiheadAttention in a block of the user's own, which nothing names."""

    def __init__(self, *, mlp=True, out="out"):
        super().__init__()
        self.tok = nn.Embedding(P + 1, D)
        self.pos = nn.Embedding(3, D)
        self.attn = nn.MultiheadAttention(D, HEADS, batch_first=True)
        if mlp:
            self.fc1, self.fc2 = nn.Linear(D, WIDE), nn.Linear(WIDE, D)
        self.add_module(out, nn.Linear(D, P))
        self.out_name, self.mlp = out, mlp

    def forward(self, rows):
        x = self.tok(rows) + self.pos.weight
        x = x + self.attn(x, x, x, need_weights=False)[0]
        x = x + self.fc2(self.fc1(x).relu()) if self.mlp else x
        return getattr(self, self.out_name)(x[:, -1])


class OwnBlocks(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.pos = nn.Embedding(P + 1, D), nn.Embedding(3, D)
        self.blocks = nn.ModuleList(
            nn.ModuleDict({
                "attn": nn.MultiheadAttention(D, HEADS, batch_first=True), "ln1": nn.LayerNorm(D),
                "ln2": nn.LayerNorm(D), "mlp": nn.Sequential(nn.Linear(D, WIDE), nn.GELU(), nn.Linear(WIDE, D)),
            }) for _ in range(2)
        )  # fmt: skip
        self.ln_f, self.unembed = nn.LayerNorm(D), nn.Linear(D, P, bias=False)

    def forward(self, rows):
        x = self.embed(rows) + self.pos.weight
        mask = torch.ones(3, 3, dtype=torch.bool).triu(1)
        for block in self.blocks:
            y = block["ln1"](x)
            x = x + block["attn"](y, y, y, attn_mask=mask, need_weights=False)[0]
            x = x + block["mlp"](block["ln2"](x))
        return self.unembed(self.ln_f(x)[:, -1])


CAUSAL = torch.ones(3, 3).triu(1).bool()
NETWORKS = {
    "one layer": (lambda: Encoder(), {}),
    "two layers": (lambda: Encoder(n_layers=2), {}),
    "a last norm": (lambda: Encoder(n_layers=2, norm_first=True, last_norm=True), {}),
    "no biases": (lambda: Encoder(bias=False, head_bias=False), {}),
    "no bias of the head": (lambda: Encoder(head_bias=False), {}),
    "as many answers as tokens": (lambda: Encoder(n_tokens=P, n_ctx=2), {}),
    "gelu": (lambda: Encoder(activation="gelu"), {"act_fn": "gelu"}),
    "positions a parameter": (lambda: Encoder(positions="parameter"), {}),
    "sinusoidal": (lambda: Encoder(positions="sinusoidal"), {}),
    "no positions": (lambda: Encoder(positions="none"), {}),
    "a mask of torch": (lambda: Encoder(n_layers=2, mask=CAUSAL), {}),
    "a mask of floats": (
        lambda: Encoder(n_layers=2, mask=nn.Transformer.generate_square_subsequent_mask(3)), {},
    ),
    "own block": (lambda: OwnBlock(), {}),
    "own block, attention only": (lambda: OwnBlock(mlp=False), {}),
    "own blocks, causal as stated": (lambda: OwnBlocks(), {"attention_dir": "causal", "act_fn": "gelu"}),
}  # fmt: skip


def made(make):
    torch.manual_seed(0)
    net = make().eval()
    with torch.no_grad():
        for w in net.parameters():
            # Biases start at zero and norms at one, where a wrong place would not show.
            w += 0.3 * torch.randn_like(w)
    return net


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("prefix", ["", "model."])
def test_logits_are_those_of_torch(tmp_path, name, prefix):
    make, stated = NETWORKS[name]
    net = made(make)
    torch.save(
        {"state_dict": {prefix + k: w for k, w in net.state_dict().items()}, "epoch": 3}, tmp_path / "a.ckpt"
    )
    run = interp.open_run(tmp_path / "a.ckpt", task={"operation": "add"}, model={"n_heads": HEADS, **stated})
    assert run.record.source["format"] == "torch-transformer" and run.steps == [3] and run.config.task.p == P
    rows = run.task.inputs
    assert torch.equal(rows, ROWS[:, : rows.shape[1]])
    found = plain.forward(run.config.model, run.step_weights(3), rows)[:, -1]
    with torch.no_grad():
        torch.testing.assert_close(found, net(rows), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(run.model(3)(rows)[:, -1], found, atol=1e-5, rtol=1e-5)
    assumed = run.record.source["assumed"]
    assert ("norm_placement" in assumed) == (run.config.model.normalization_type == "LN")
    assert ("residual_stream" in assumed) == name.startswith("own")
    assert ("attention_dir" in assumed) == ("mask" not in name and "attention_dir" not in stated)


def test_heads_must_be_stated(tmp_path):
    torch.save(made(Encoder).state_dict(), tmp_path / "0.pt")
    with pytest.raises(
        SourceError, match=r"does not show its number of heads: its queries are 8 wide.*--heads 4"
    ):
        interp.open_run(tmp_path / "0.pt")


def test_what_is_assumed_is_said(tmp_path):
    torch.save(made(OwnBlock).state_dict(), tmp_path / "0.pt")
    told = "attention_dir='bidirectional', residual_stream=True: that is assumed.*No network .* without a residual str"
    with pytest.warns(SourceWarning, match=told):
        interp.open_run(tmp_path / "0.pt", model={"n_heads": HEADS}, task={"operation": "add"})


class Odd(OwnBlock):
    def __init__(self, **more):
        super().__init__()
        for name, part in more.items():
            self.add_module(name, part)


REFUSED = {
    "a convolution": (lambda: Odd(conv=nn.Conv1d(D, D, 3)), r"holds 'conv.weight', 'conv.bias' beside its attention"),
    "two attentions": (
        lambda: Odd(cross=nn.MultiheadAttention(D, HEADS)), "several attentions in one block, which no network",
    ),
    "keys of their own": (
        lambda: Odd(attn=nn.MultiheadAttention(D, HEADS, add_bias_kv=True)), "'attn.bias_k', 'attn.bias_v' beside",
    ),
    "one norm": (lambda: Odd(norm_a=nn.LayerNorm(D)), "holds 1 norms in block"),
    "a second output": (lambda: Odd(value=nn.Linear(D, 1)), "does not show by names and shapes which tensors are"),
    "half an MLP": (lambda: Odd(gate=nn.Linear(D, WIDE)), "does not show by names and shapes|no MLP of two layers"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_part_that_no_network_here_has_is_named_with_all_shapes_and_an_adapter(tmp_path, name):
    make, message = REFUSED[name]
    torch.save(made(make).state_dict(), tmp_path / "0.pt")
    with pytest.raises(SourceError, match=message) as refused:
        interp.open_run(tmp_path / "0.pt", model={"n_heads": HEADS})
    assert "'attn.in_proj_weight' (24, 8)" in str(refused.value) and "def adapter(path):" in str(
        refused.value
    )


@pytest.mark.parametrize(("last_norm", "stated"), [(True, "post"), (False, "pre")])
def test_norms_that_stand_elsewhere_are_refused_when_it_is_said(tmp_path, last_norm, stated):
    torch.save(made(lambda: Encoder(last_norm=last_norm)).state_dict(), tmp_path / "0.pt")
    with pytest.raises(
        SourceError, match=f"norm before its output layer, and norm_placement='{stated}' was stated"
    ):
        interp.open_run(tmp_path / "0.pt", model={"n_heads": HEADS, "norm_placement": stated})


def test_a_mask_that_is_neither_causal_nor_none(tmp_path):
    torch.save(made(lambda: Encoder(mask=torch.eye(3).bool())).state_dict(), tmp_path / "0.pt")
    with pytest.raises(SourceError, match="holds a mask 'mask' that is not causal"):
        interp.open_run(tmp_path / "0.pt", model={"n_heads": HEADS})
