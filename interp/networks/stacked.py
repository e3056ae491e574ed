"""The forward pass of many networks of one architecture at once: every weight has a first axis `member`.

Each member has inputs of its own, as many as the others (padded, `Asked`). For one-layer transformers asked at the last
position it is the factorized pass (`interp.networks.factorized`) with the members side by side; for all others the
plain pass under `torch.func.vmap`. What a member's logits are does not depend on who else is there.

Two sums over the examples that read a row are the heart of it: attention mixes rows into examples, and its gradient
adds examples up by row. Both are sums of rows of a table by an index, which `embedding_bag` takes in one sweep, and
the gradient of the pattern is a sampled product (`sampled_addmm`): no intermediate is larger than what goes in or out.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import embedding_bag

from interp.networks import plain
from interp.networks.answers import path_for
from interp.networks.config import ModelConfig, Weights
from interp.networks.layers import EPSILON, activation, sinusoidal_positions
from interp.tasks.task import Questions


@dataclass(frozen=True, eq=False)
class Asked:
    """The questions of all members; those who have fewer repeat their first one, with weight 0.

    Attributes:
        inputs: of each member.
        example, position, labels: as of `Questions`, for each member.
        weights: what a question counts in its member's mean loss: 1 / its number of questions, or 0.
    """

    inputs: Int[Tensor, "member example pos"] | Float[Tensor, "member example feature"]
    example: Int[Tensor, "member question"]
    position: Int[Tensor, "member question"]
    labels: Int[Tensor, "member question"]
    weights: Float[Tensor, "member question"]
    is_last: bool

    @classmethod
    def of(cls, questions: Sequence[Questions], at_least: int = 0) -> "Asked":
        """The questions of members whose inputs are equally wide, on their device, padded to at least so many."""
        n_examples = max(at_least, *(len(asked.inputs) for asked in questions))
        n_questions = max(at_least, *(len(asked.labels) for asked in questions))
        weights = torch.zeros(len(questions), n_questions, dtype=torch.float64)
        for row, asked in zip(weights, questions, strict=True):
            row[: len(asked.labels)] = 1 / len(asked.labels)
        last = all(asked.is_last for asked in questions)
        parts = zip(
            *(_padded(asked, n_examples, n_questions, in_order=last) for asked in questions), strict=True
        )
        inputs, example, position, labels = (torch.stack(part) for part in parts)
        return cls(inputs, example, position, labels, weights.to(inputs.device), last)

    @property
    def is_asked(self) -> Bool[Tensor, "member question"]:
        """Which questions are no padding."""
        return self.weights > 0


def _padded(
    asked: Questions, n_examples: int, n_questions: int, *, in_order: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    def to(x: Tensor, n: int) -> Tensor:
        return torch.cat([x, x[:1].expand(n - len(x), *x.shape[1:])])

    example = (
        torch.arange(n_questions, device=asked.example.device) if in_order else to(asked.example, n_questions)
    )
    return (
        to(asked.inputs, n_examples),
        example,
        to(asked.position, n_questions),
        to(asked.labels, n_questions),
    )


Answer = Callable[[Weights], Float[Tensor, "member question d_vocab_out"]]


def answer_logits(config: ModelConfig, asked: Asked, among: Tensor | None = None) -> Answer:
    """A function from stacked weights to the logits of these questions, differentiable.

    Args:
        among: as of `Rows.of`.
    """
    if is_factorized(config, asked):
        rows = Rows.of(asked.inputs, config.n_heads, among)
        return lambda weights: after_attention(config, weights, residual(config, weights, rows))

    def of_one(weights: Weights, inputs: Tensor, example: Tensor, position: Tensor) -> Tensor:
        found = plain.forward(config, weights, inputs)
        return found[:, -1] if asked.is_last else found[example, 0 if config.is_mlp else position]

    where = (asked.inputs, asked.example, asked.position)
    return lambda weights: torch.func.vmap(of_one)(weights, *where)


def is_factorized(config: ModelConfig, asked: Asked) -> bool:
    """Whether the factorized pass answers, as it does for a single network."""
    return asked.is_last and path_for(config) == "factorized"


@dataclass(frozen=True, eq=False)
class Rows:
    """The distinct (token, position) rows of all members, and which example reads which.

    A cell is a member's pair of a query and a row; an entry is an example's reading of a row by one head.

    Attributes:
        tokens, positions: what each row is.
        of_query: index among the rows of each distinct last row.
        query_of_example: index into `of_query`, None where there is one query.
        cell: the cell of each example at each position.
        by_cell, cell_starts: places in `cell`, sorted by cell, and where each cell begins among them.
        entry: the head and row of each entry, as an index into (member, head, row).
        bags: where each example begins among the entries.
        by_entry, example_by_entry, entry_starts: places in `entry`, sorted by it; the example of each; where each row
            and head begins among them.
        n_examples, n_members: sizes.
    """

    tokens: Int[Tensor, " row"]
    positions: Int[Tensor, " row"]
    of_query: Int[Tensor, " query"]
    query_of_example: Int[Tensor, " all_examples"] | None
    cell: Int[Tensor, " reading"]
    by_cell: Int[Tensor, " reading"]
    cell_starts: Int[Tensor, " all_cells"]
    entry: Int[Tensor, " entry"]
    bags: Int[Tensor, " all_examples"]
    by_entry: Int[Tensor, " entry"]
    example_by_entry: Int[Tensor, " entry"]
    entry_starts: Int[Tensor, " all_row_heads"]
    n_examples: int
    n_members: int

    @classmethod
    def of(
        cls,
        inputs: Int[Tensor, "member example pos"],
        n_heads: int,
        among: Int[Tensor, " any_example pos"] | None = None,
    ) -> "Rows":
        """The rows of these inputs, on the inputs' device.

        Args:
            among: inputs that have all of them and maybe more, so that which rows there are does not depend on these.
        """
        n_members, n_examples, n_pos = inputs.shape
        device = inputs.device
        keys = inputs * n_pos + torch.arange(n_pos, device=device)
        known = keys if among is None else among * n_pos + torch.arange(n_pos, device=device)
        distinct = known.unique()
        of_query = torch.searchsorted(distinct, known[..., -1].unique())
        row = torch.searchsorted(distinct, keys)
        query = torch.searchsorted(of_query, row[..., -1].contiguous())
        member = torch.arange(n_members, device=device)[:, None]
        query_in_stack = query + member * len(of_query)
        cell = (row + (query_in_stack * len(distinct))[..., None]).flatten()
        head = (member * n_heads + torch.arange(n_heads, device=device))[:, None, None]
        entry = (head * len(distinct) + row[..., None]).flatten()
        per_example = n_pos * n_heads
        _warned_of_sparse_tensors()
        by_cell, cell_starts = _sorted(cell, n_members * len(of_query) * len(distinct))
        by_entry, entry_starts = _sorted(entry, n_members * len(distinct) * n_heads)
        return cls(
            tokens=distinct // n_pos,
            positions=distinct % n_pos,
            of_query=of_query,
            query_of_example=None if len(of_query) == 1 else query_in_stack.flatten(),
            cell=cell,
            by_cell=by_cell,
            cell_starts=cell_starts,
            entry=entry,
            bags=torch.arange(0, len(entry), per_example, device=device),
            by_entry=by_entry,
            example_by_entry=by_entry // per_example,
            entry_starts=entry_starts,
            n_examples=n_examples,
            n_members=n_members,
        )


def _sorted(index: Int[Tensor, " place"], n: int) -> tuple[Int[Tensor, " place"], Int[Tensor, " value"]]:
    """Places sorted by value, and where each of the n values begins."""
    counts = torch.bincount(index, minlength=n)
    return index.argsort(stable=True), counts.cumsum(0) - counts


def _warned_of_sparse_tensors() -> None:
    """Torch says once a process that sparse tensors are new; what is used of them here is tested."""
    with warnings.catch_warnings(action="ignore"):
        torch.sparse_csr_tensor([0, 0], [], [], (1, 1))


class _Scores(torch.autograd.Function):
    """The score of each reading, from the scores of the cells."""

    @staticmethod
    def forward(ctx, of_cells: Float[Tensor, "cell head"], rows: Rows) -> Float[Tensor, "reading head"]:
        ctx.rows = rows
        return of_cells.index_select(0, rows.cell)

    @staticmethod
    def backward(ctx, gradient: Float[Tensor, "reading head"]):  # type: ignore[override]
        rows = ctx.rows
        return embedding_bag(rows.by_cell, gradient.contiguous(), rows.cell_starts, mode="sum"), None


class _Mixed(torch.autograd.Function):
    """What each example has after attention: the sum of the outputs of the rows that it reads, and its own row."""

    @staticmethod
    def forward(
        ctx,
        pattern: Float[Tensor, " entry"],
        outputs: Float[Tensor, "row_head d_model"],
        own: Float[Tensor, "all_queries d_model"],
        rows: Rows,
    ) -> Float[Tensor, "all_examples d_model"]:
        ctx.rows = rows
        # Detached, or torch prepares a gradient of its own.
        pattern, outputs = pattern.detach(), outputs.detach()
        ctx.save_for_backward(pattern, outputs)
        mixed = embedding_bag(rows.entry, outputs, rows.bags, mode="sum", per_sample_weights=pattern)
        if rows.query_of_example is not None:
            return mixed.add_(own.index_select(0, rows.query_of_example))
        # In place, which torch would not do without copies: the sum is new, and nobody else's.
        mixed.view(rows.n_members, rows.n_examples, -1).add_(own[:, None])
        return mixed

    @staticmethod
    def backward(ctx, gradient: Float[Tensor, "all_examples d_model"]):  # type: ignore[override]
        rows, (pattern, outputs) = ctx.rows, ctx.saved_tensors
        gradient = gradient.contiguous()
        ends = torch.cat([rows.bags, rows.bags.new_tensor([len(rows.entry)])])
        sampled = torch.sparse_csr_tensor(
            ends,
            rows.entry,
            torch.zeros_like(pattern),
            (len(rows.bags), len(outputs)),
            check_invariants=False,
        )
        of_pattern = torch.sparse.sampled_addmm(sampled, gradient, outputs.T, beta=0.0).values()
        of_outputs = embedding_bag(
            rows.example_by_entry,
            gradient,
            rows.entry_starts,
            mode="sum",
            per_sample_weights=pattern.index_select(0, rows.by_entry),
        )
        if rows.query_of_example is None:
            # One after the other, so that padding, which is zero and comes last, changes no bit.
            places = torch.arange(len(gradient), device=gradient.device)
            of_own = embedding_bag(places, gradient, places[:: rows.n_examples], mode="sum")
        else:
            of_own = gradient.new_zeros(rows.n_members * len(rows.of_query), gradient.shape[1])
            of_own.index_add_(0, rows.query_of_example, gradient)
        return of_pattern, of_outputs, of_own, None


def residual(config: ModelConfig, weights: Weights, rows: Rows) -> Float[Tensor, "member example d_model"]:
    """The residual stream at the answered position after attention (and its norm, where that comes after)."""
    c = config
    n_members = rows.n_members
    resid_pre = weights["embed.W_E"].index_select(1, rows.tokens)
    if c.positions == "learned":
        resid_pre = resid_pre + weights["pos_embed.W_pos"].index_select(1, rows.positions)
    elif c.positions == "sinusoidal":
        resid_pre = resid_pre + sinusoidal_positions(c.n_ctx, c.d_model).to(resid_pre)[rows.positions]
    x = _norm(c, weights, "blocks.0.ln1", resid_pre, when="pre")

    def head_rows(name: str, source: Tensor) -> Tensor:
        out = torch.einsum("srm,shme->srhe", source, weights[f"blocks.0.attn.W_{name}"])
        bias = weights.get(f"blocks.0.attn.b_{name}")
        return out if bias is None else out + bias[:, None]

    queries = head_rows("Q", x.index_select(1, rows.of_query)) / c.d_head**0.5
    if len(rows.of_query) == 1 and "blocks.0.attn.b_K" not in weights:
        # What the one query asks for, as a direction of the residual stream: no keys for every row. Vectors are
        # multiplied entry by entry: as products of matrices they would be rounded otherwise in a stack of one.
        asks = (queries[:, 0, :, None] * weights["blocks.0.attn.W_K"]).sum(-1)
        of_cells = (x * asks).sum(-1, keepdim=True) if c.n_heads == 1 else torch.bmm(x, asks.mT)
    else:
        of_cells = torch.einsum("sqhe,srhe->sqrh", queries, head_rows("K", x))
    scores = _Scores.apply(of_cells.reshape(-1, c.n_heads), rows)
    pattern = scores.view(len(rows.bags), -1, c.n_heads).softmax(1)
    if c.attention_rate != 1:
        pattern = c.attention_rate * pattern + (1 - c.attention_rate)

    outputs = torch.einsum("srhe,shem->shrm", head_rows("V", x), weights["blocks.0.attn.W_O"])
    own = resid_pre.index_select(1, rows.of_query)
    if (bias := weights.get("blocks.0.attn.b_O")) is not None:
        own = own + bias[:, None]
    mixed = _Mixed.apply(
        pattern.reshape(-1), outputs.reshape(-1, c.d_model), own.reshape(-1, c.d_model), rows
    )
    stream = mixed.view(n_members, rows.n_examples, c.d_model)
    return _norm(c, weights, "blocks.0.ln1", stream, when="post")


def after_attention(
    config: ModelConfig, weights: Weights, stream: Float[Tensor, "member example d_model"]
) -> Float[Tensor, "member example d_vocab_out"]:
    """Logits from the residual stream after attention."""
    c = config
    if c.d_mlp:
        read = _norm(c, weights, "blocks.0.ln2", stream, when="pre")
        pre = _linear(read, weights["blocks.0.mlp.W_in"], weights.get("blocks.0.mlp.b_in"))
        post = activation(c.act_fn, pre)
        stream = stream + _linear(post, weights["blocks.0.mlp.W_out"], weights.get("blocks.0.mlp.b_out"))
        stream = _norm(c, weights, "blocks.0.ln2", stream, when="post")
    stream = _norm(c, weights, "ln_final", stream, when="pre")
    W_U = weights["embed.W_E"][:, : c.d_vocab_out].mT if c.tied_unembed else weights["unembed.W_U"]
    return _linear(stream, W_U, weights.get("unembed.b_U"))


def _linear(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
    return torch.bmm(x, w) if b is None else torch.baddbmm(b[:, None], x, w)


def _norm(c: ModelConfig, weights: Weights, name: str, x: Tensor, when: str) -> Tensor:
    if not c.normalization_type or c.norm_placement != when:
        return x
    x = torch.nn.functional.layer_norm(x, (c.d_model,), eps=EPSILON)
    if (w := weights.get(f"{name}.w")) is None:
        return x
    return x * w[:, None] + weights[f"{name}.b"][:, None]
