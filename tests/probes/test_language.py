"""Probes of language models on models whose predictions are written down, and on the series in checkpoints/tiny-lm."""

import itertools
from dataclasses import replace
from functools import partial
from math import log
from pathlib import Path
from types import SimpleNamespace
from weakref import WeakSet

import numpy as np
import pandas as pd
import pytest
import torch

from interp.mathematics.ngrams import Ngrams
from interp.measurement.measure import measure
from interp.networks.texts import read_text
from interp.probes import (
    head_changes,
    in_context_score,
    ngram_scores,
    repetition_losses,
    residual_dimensions,
    text_losses,
)
from interp.probes.language import text_pass
from interp.probes.language.head_changes import _factors, _mlps_moved, _moved
from interp.probes.language.residual_dimensions import participation_ratio
from interp.snapshots.snapshot import NotApplicable, Snapshot
from interp.sources.formats.huggingface.folders import read_weights
from interp.sources.opening import open_run
from tests.hand_built_language import Written, of_pairs, snapshot_of, that_copies, that_peeks

TINY = Path(__file__).parents[2] / "checkpoints" / "tiny-lm"
N_TOKENS, N_POS = 7, 32
ON_TEXT = (text_losses, in_context_score, ngram_scores, residual_dimensions)


@pytest.fixture
def windows():
    """A text in which some pairs are more frequent than others."""
    generator = np.random.default_rng(0)
    table = generator.dirichlet(np.ones(N_TOKENS) * 0.5, N_TOKENS)
    rows = np.zeros((24, N_POS), dtype=np.int64)
    for row in rows:
        row[0] = generator.integers(N_TOKENS)
        for i in range(1, N_POS):
            row[i] = generator.choice(N_TOKENS, p=table[row[i - 1]])
    return rows


def shares(windows):
    """Counted shares of the next token, by dictionaries of nothing: loops over the text."""
    counts = np.zeros((N_TOKENS, N_TOKENS))
    for row in windows:
        for a, b in itertools.pairwise(row):
            counts[a, b] += 1
    return counts / counts.sum(1, keepdims=True), counts.sum(0) / counts.sum()


def test_a_model_of_bigrams_has_their_entropy_as_its_loss_and_no_divergence(windows):
    conditional, frequency = shares(windows)
    snapshot = snapshot_of(Written(of_pairs(conditional), N_TOKENS))
    scores = ngram_scores(snapshot, windows=windows).set_index("ngram")
    entropy = Ngrams.of(windows, N_TOKENS).bigram_entropy
    # 1e-9: float64 sums over 744 tokens.
    assert scores.loc["bigram", "divergence"] == pytest.approx(0.0, abs=1e-9)
    assert scores.loc["bigram", "loss_above"] == pytest.approx(0.0, abs=1e-9)
    assert text_losses(snapshot, windows=windows)["loss"].item() == pytest.approx(entropy, abs=1e-9)
    # What the oracle says of the other statistic: the mean over the text of KL(frequency || row).
    before = windows[:, :-1].ravel()
    kl = [
        (frequency * (np.log(frequency) - np.log(np.maximum(conditional[a], 1e-300)))).sum() for a in before
    ]
    assert scores.loc["unigram", "divergence"] == pytest.approx(np.mean(kl), rel=1e-9)


def test_a_model_of_unigrams_is_at_its_own_entropy_and_above_that_of_bigrams(windows):
    _, frequency = shares(windows)
    snapshot = snapshot_of(Written(of_pairs(np.tile(frequency, (N_TOKENS, 1))), N_TOKENS))
    scores = ngram_scores(snapshot, windows=windows).set_index("ngram")
    assert scores.loc["unigram", "divergence"] == pytest.approx(0.0, abs=1e-9)
    assert scores.loc["unigram", "loss_above"] == pytest.approx(0.0, abs=1e-9)
    assert scores.loc["bigram", "loss_above"] > 0.1


def test_an_untrained_model_knows_no_statistic_and_one_that_copies_goes_beyond_both(windows):
    flat = snapshot_of(Written(lambda tokens: torch.zeros(*tokens.shape, N_TOKENS), N_TOKENS))
    scores = ngram_scores(flat, windows=windows)
    assert scores["cross_entropy"].tolist() == pytest.approx([log(N_TOKENS)] * 2, abs=1e-6)
    sure = snapshot_of(Written(that_peeks([0.9] * N_POS, N_TOKENS), N_TOKENS))
    beyond = ngram_scores(sure, windows=windows)
    assert (beyond["loss_above"] < -0.5).all() and (beyond["divergence"] > 0.5).all()


def test_losses_and_their_error_are_the_mean_over_windows(windows):
    p = np.linspace(0.2, 0.9, N_POS)
    row = text_losses(snapshot_of(Written(that_peeks(p, N_TOKENS), N_TOKENS)), windows=windows).iloc[0]
    assert row["loss"] == pytest.approx(-np.log(p[1:]).mean(), abs=1e-12)
    assert row["n"] == 24 * (N_POS - 1)
    assert row["standard_error"] == pytest.approx(0.0, abs=1e-12)
    assert row["accuracy"] == 1.0 and row["perplexity"] == pytest.approx(np.exp(row["loss"]))
    # An error of windows that differ: by the formula, over windows and not over tokens.
    conditional, _ = shares(windows)
    snapshot = snapshot_of(Written(of_pairs(conditional), N_TOKENS))
    means = [-np.log([conditional[a, b] for a, b in itertools.pairwise(w)]).mean() for w in windows]
    want = np.std(means, ddof=1) / 24**0.5
    assert text_losses(snapshot, windows=windows)["standard_error"].item() == pytest.approx(want, rel=1e-9)
    alone = text_losses(snapshot, windows=windows[:1])
    assert np.isnan(alone["standard_error"].item())


def test_the_in_context_score_is_the_difference_of_two_stretches(windows):
    p = np.linspace(0.2, 0.9, N_POS)
    snapshot = snapshot_of(Written(that_peeks(p, N_TOKENS), N_TOKENS))
    row = in_context_score(snapshot, windows=windows).iloc[0]
    assert (row["early_from"], row["early_to"], row["late_from"], row["late_to"]) == (2, 4, 28, 32)
    assert row["score"] == pytest.approx(-np.log(p[28:32]).mean() + np.log(p[2:4]).mean(), abs=1e-12)
    # One token each, as in the paper.
    row = in_context_score(snapshot, windows=windows, early=(5, 6), late=(30, 31)).iloc[0]
    assert row["score"] == pytest.approx(log(p[5] / p[30]), abs=1e-12)
    fixed = snapshot_of(Written(that_peeks([0.5] * N_POS, N_TOKENS), N_TOKENS))
    assert in_context_score(fixed, windows=windows)["score"].item() == pytest.approx(0.0, abs=1e-12)


def test_the_stretches_of_the_paper_lie_within_ours(windows):
    snapshot = snapshot_of(Written(lambda t: torch.zeros(*t.shape, N_TOKENS), N_TOKENS, n_ctx=512))
    row = in_context_score(snapshot, windows=np.zeros((1, 512), dtype=np.int64)).iloc[0]
    assert row["early_from"] <= 50 < row["early_to"] and row["late_from"] <= 500 < row["late_to"]


def test_a_model_that_copies_is_cheap_on_the_second_copy_alone():
    row = repetition_losses(snapshot_of(Written(that_copies(40), 40)), length=10, n_sequences=4)
    first, second = row.set_index("copy")["loss"]
    assert first == pytest.approx(log(40), abs=1e-12)
    # ln(1 + 39 e^-20) = 8e-8.
    assert second == pytest.approx(0.0, abs=1e-6)
    assert row["n"].tolist() == [36, 36] and row["accuracy"].iloc[1] == 1.0
    flat = repetition_losses(snapshot_of(Written(lambda t: torch.zeros(*t.shape, 40), 40)))
    assert flat["loss"].tolist() == pytest.approx([log(40)] * 2, abs=1e-6)


def streams(x):
    return {"blocks.0.hook_resid_pre": lambda tokens: x, "blocks.0.hook_resid_post": lambda tokens: 3 * x}


def test_dimensions_are_those_of_known_covariances(windows):
    generator = torch.Generator().manual_seed(0)
    for d, used in ((6, 1), (6, 4)):
        # Signs with all combinations equally often: the covariance is exactly the identity on `used` directions.
        signs = torch.tensor([[(i >> k & 1) * 2.0 - 1.0 for k in range(d)] for i in range(2**d)])
        signs[:, used:] = 0
        rows = signs.repeat(24 * 31 // 64 + 1, 1)[: 11 * 64]
        basis = torch.linalg.qr(torch.randn(d, d, generator=generator))[0]
        x = torch.zeros(11, 65, d)
        x[:, 1:] = (rows @ basis).reshape(11, 64, d)
        # What nobody counts: a first token a thousand times as long.
        x[:, 0] = 1000.0
        text = np.zeros((11, 65), dtype=np.int64)
        model = Written(lambda t: torch.zeros(*t.shape, N_TOKENS), N_TOKENS, n_ctx=65, streams=streams(x))
        found = residual_dimensions(snapshot_of(model), windows=text)
        # 1e-5: float32 streams.
        assert found["dimension"].tolist() == pytest.approx([used, used], abs=1e-5)
        assert found["largest_share"].tolist() == pytest.approx([1 / used] * 2, abs=1e-5)
        assert found["root_mean_square"].tolist() == pytest.approx([used**0.5, 3 * used**0.5], abs=1e-4)
        assert found["layer"].tolist() == [0, 1] and set(found["d_model"]) == {d}


def test_dimensions_are_what_numpy_says(windows):
    x = (
        torch.randn(*windows.shape, 5, generator=torch.Generator().manual_seed(1)) * torch.arange(1.0, 6.0)
        + 2.0
    )
    model = Written(lambda t: torch.zeros(*t.shape, N_TOKENS), N_TOKENS, streams=streams(x))
    found = residual_dimensions(snapshot_of(model), windows=windows).iloc[0]
    values = np.linalg.eigvalsh(np.cov(x[:, 1:].reshape(-1, 5).double().numpy().T))
    # Of float64 moments of float32 numbers; the divisor of the covariance cancels.
    assert found["dimension"] == pytest.approx(values.sum() ** 2 / (values**2).sum(), rel=1e-9)
    assert all(np.isnan(participation_ratio(torch.zeros(3, 3))))


def test_one_forward_pass_serves_all_probes_of_a_text(windows):
    model = Written(lambda t: torch.zeros(*t.shape, N_TOKENS), N_TOKENS)
    snapshot = snapshot_of(model)
    for probe in ON_TEXT:
        probe(snapshot, windows=windows.copy())
    assert model.n_passes == 1
    text_losses(snapshot, windows=windows[::-1])
    assert model.n_passes == 2


# Five windows at a time, or of one window five positions.
@pytest.mark.parametrize(("most", "n_passes"), [(5 * N_POS * N_TOKENS, 5), (5 * N_TOKENS, 24)])
def test_logits_are_made_a_few_at_a_time(windows, monkeypatch, most, n_passes):
    conditional, _ = shares(windows)
    whole = snapshot_of(Written(of_pairs(conditional), N_TOKENS))
    expected = [probe(whole, windows=windows) for probe in (ngram_scores, text_losses)]
    monkeypatch.setattr(text_pass, "MOST_LOGITS", most)
    model = Written(of_pairs(conditional), N_TOKENS)
    snapshot = snapshot_of(model)
    for probe, one in zip((ngram_scores, text_losses), expected, strict=True):
        # Sums in another order.
        pd.testing.assert_frame_equal(probe(snapshot, windows=windows), one, rtol=1e-12, atol=1e-12)
    assert model.n_passes == n_passes


@pytest.mark.parametrize("probe", ON_TEXT)
def test_texts_that_do_not_fit_are_refused(probe, windows):
    snapshot = snapshot_of(Written(lambda t: torch.zeros(*t.shape, N_TOKENS), N_TOKENS, n_ctx=N_POS))
    with pytest.raises(
        NotApplicable, match=r"needs a text\. `interp analyse language_model RUN --text FILE`"
    ):
        probe(snapshot)
    with pytest.raises(ValueError, match=r"token ids from 0 to 6, those of the network, got 7\. Cut it with"):
        probe(snapshot, windows=windows + 1)
    with pytest.raises(ValueError, match="at most 32 tokens, the network's context, got 64"):
        probe(snapshot, windows=np.tile(windows, (1, 2)))
    with pytest.raises(ValueError, match=r"windows of at least 2 tokens, \(window, pos\), got the shape"):
        probe(snapshot, windows=windows[:, :1])


def test_stretches_that_are_none_are_refused(windows):
    snapshot = snapshot_of(Written(lambda t: torch.zeros(*t.shape, N_TOKENS), N_TOKENS))
    with pytest.raises(
        ValueError, match=r"needs early within tokens 1 to 32 .* got \(0, 3\)\. Token 0 has nothing"
    ):
        in_context_score(snapshot, windows=windows, early=(0, 3))
    with pytest.raises(NotApplicable, match="windows of at least 16 tokens, this text has 8"):
        in_context_score(snapshot, windows=windows[:, :8])
    short = snapshot_of(Written(lambda t: torch.zeros(*t.shape, 6), 6, n_ctx=10))
    with pytest.raises(NotApplicable, match="room for 2 copies of at least 8 different tokens"):
        repetition_losses(short)


# ---- on the series that comes with the repository ----


@pytest.fixture(scope="module")
def tiny():
    return open_run(TINY)


@pytest.fixture(scope="module")
def measured(tiny):
    """Tables at the first, a middle and the last checkpoint: their text is cut to a third."""
    text = read_text(TINY / "text.txt", tiny.huggingface, most=2000).windows
    asked = {probe.__name__: partial(probe, windows=text) for probe in ON_TEXT}
    asked |= {"repetition_losses": "repetition_losses", "moved": partial(head_changes, since=1000)}
    return measure(tiny, asked, [0, 1000, 2000], cache=False), text


def test_the_first_checkpoint_is_at_chance_and_the_last_reads_its_context(tiny, measured):
    tables, _ = measured
    losses = tables["text_losses"].set_index("step")["loss"]
    # 0.1: initial logits are small, not zero.
    assert losses[0] == pytest.approx(log(124), abs=0.1)
    assert losses[2000] < losses[1000] < losses[0] - 1
    scores = tables["in_context_score"].set_index("step")["score"]
    assert abs(scores[0]) < 0.1 and scores[2000] < -1
    repeated = tables["repetition_losses"].pivot(index="step", columns="copy", values="loss")
    gain = repeated[1] - repeated[2]
    assert abs(gain[0]) < 0.01 and gain[2000] > 0.5


def test_losses_on_a_text_are_those_of_transformers(tiny, measured):
    import transformers

    tables, text = measured
    model = transformers.GPTNeoXForCausalLM.from_pretrained(TINY / "checkpoint-2000", dtype=torch.float32)
    with torch.no_grad():
        tokens = torch.from_numpy(text)
        want = model(tokens, labels=tokens).loss.item()
    # Its loss is the mean over the same tokens, in float32.
    assert tables["text_losses"]["loss"].iloc[-1] == pytest.approx(want, abs=1e-4)


def test_movements_of_heads_are_those_of_the_matrices_of_the_file(measured):
    tables, _ = measured
    table = tables["moved"]
    assert (table.loc[table["step"] == 1000, "change"] == 0).all()
    now, then = (read_weights(TINY / f"checkpoint-{step}") for step in (2000, 1000))
    row = table[(table["step"] == 2000) & (table["layer"] == 1) & (table["head"] == 3)].set_index("part")[
        "change"
    ]

    # GPT-NeoX holds query, key and value of each head one after the other: rows 3 * 16 of head 3.
    def products(weights):
        qkv = weights["gpt_neox.layers.1.attention.query_key_value.weight"].double().reshape(4, 3, 16, 64)[3]
        out = weights["gpt_neox.layers.1.attention.dense.weight"].double()[:, 48:64]
        return {"QK": qkv[0].T @ qkv[1], "OV": qkv[2].T @ out.T}

    for part, matrix in products(now).items():
        before = products(then)[part]
        # 1e-6: the bridge holds the same float16 numbers in float32.
        assert row[part] == pytest.approx(((matrix - before).norm() / before.norm()).item(), rel=1e-6)
    mlp = table[(table["step"] == 2000) & (table["head"] == -1)]
    assert mlp["layer"].tolist() == [0, 1] and (mlp["change"] > 0).all()


@pytest.mark.parametrize("part", ["QK", "OV"])
def test_movements_of_heads_against_the_whole_products(part):
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.double)

    # Two heads of keys and values for four of queries.
    n_left, n_right = (4, 2) if part == "QK" else (2, 4)
    right_shape = (n_right, 10, 3) if part == "QK" else (n_right, 3, 10)
    now, then = ((drawn(n_left, 10, 3), drawn(*right_shape)) for _ in range(2))
    for factors, former in ((now, then), (now, now)):
        pairs = zip(_factors(*factors, part), _factors(*former, part), strict=True)
        for head, (a, b) in enumerate(pairs):
            product, before = (
                left[head * n_left // 4]
                @ (right[head * n_right // 4].T if part == "QK" else right[head * n_right // 4])
                for left, right in (factors, former)
            )
            change, norm = _moved(a, b)
            assert change == pytest.approx(((product - before).norm() / before.norm()).item())
            assert norm == pytest.approx(product.norm().item())
    # Nothing moved: 0, not rounding. A rotation between the factors is rounding.
    assert _moved((now[0][0], drawn(10, 3)), (now[0][0], drawn(10, 3)))[0] > 0.1
    a, b = next(_factors(*now, part))
    assert _moved((a, b), (a, b))[0] == 0
    rotation = torch.linalg.qr(drawn(3, 3)).Q
    assert _moved((a @ rotation, b @ rotation), (a, b))[0] < 1e-14


def test_a_network_that_nobody_described_is_not_said_to_have_no_attention():
    for what in ("pattern", "neurons"):
        with pytest.raises(NotApplicable, match="no model config and no task that grokscope knows"):
            getattr(snapshot_of(None), what)


def test_movements_need_a_step_and_a_run(tiny):
    with pytest.raises(NotApplicable, match=r"head_changes needs a step to compare with: functools\.partial"):
        head_changes(snapshot_of(None))
    with pytest.raises(NotApplicable, match="needs a run to compare checkpoints of"):
        head_changes(snapshot_of(None), since=0)


def test_one_model_is_in_memory_at_a_time(tiny):
    models, most = WeakSet(), []

    def watched(snapshot):
        models.update(snapshot.model.parameters())
        most.append(len(models))
        return pd.DataFrame({"n": [len(list(snapshot.model.parameters()))]})

    table = measure(tiny, [watched], [0, 1000, 2000], cache=False, progress=False)["watched"]
    assert most == table["n"].tolist()


def test_edited_weights_make_another_model(tiny, measured):
    snapshot, (_, text) = Snapshot.of(tiny, 2000), measured
    silent = {n: w * 0 if n == "embed_out.weight" else w for n, w in snapshot.weights.items()}
    losses = text_losses(replace(snapshot, weights=silent), windows=text[:2])
    # All 124 logits are 0.
    assert losses["loss"].item() == pytest.approx(log(124), abs=1e-6)


def test_another_text_is_measured_anew_and_the_same_one_is_found_again(tiny, monkeypatch):
    passes = []
    from interp.probes.language import text_pass

    def counted(snapshot, windows, was=text_pass._pass_over):
        passes.append(snapshot.step)
        return was(snapshot, windows)

    monkeypatch.setattr(text_pass, "_pass_over", counted)
    text = read_text(TINY / "text.txt", tiny.huggingface, most=320).windows

    def losses(windows):
        return measure(tiny, {"x": partial(text_losses, windows=windows)}, [0])["x"]["loss"].item()

    first = losses(text)
    assert losses(text.copy()) == first and passes == [0]
    assert losses(text[::-1]) == pytest.approx(first, abs=1e-6) and passes == [0, 0]


def test_the_gate_of_a_gated_mlp_counts_as_the_rest_of_it():
    def model(gate):
        ones = torch.ones(2, 3, 4)
        return SimpleNamespace(W_in=ones, W_out=ones, W_gate=None if gate is None else gate * ones)

    # 12 entries a matrix and layer; those of the gate went from 1 to 2.
    assert (
        _mlps_moved(model(2.0), model(1.0)) == [(pytest.approx((12 / 36) ** 0.5), pytest.approx(72**0.5))] * 2
    )
    assert _mlps_moved(model(None), model(None)) == [(0.0, pytest.approx(24**0.5))] * 2
