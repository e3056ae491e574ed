"""Networks side by side: each answers as it does alone, forward and backward, whatever the others are."""

from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interp.networks import stacked, stacked_head
from interp.networks.answers import answer_logits
from interp.tasks.task import Questions
from tests.networks.test_factorized import drawn_weights, networks
from tests.tiny import tiny_config

# float64: rounding is 1e-16 a term, sums have up to 200 terms, values and gradients are of order 1 to 100. An example
# read from another member is off by order 1.
close = {"atol": 1e-10, "rtol": 1e-10}


def asked_at_the_end(inputs, labels):
    n, n_pos = inputs.shape
    return Questions(inputs, torch.arange(n), torch.full((n,), n_pos - 1), labels)


def alone(config, weights, questions, direction):
    logits = answer_logits(config, questions)(weights)
    gradients = torch.autograd.grad((logits * direction).sum(), list(weights.values()), allow_unused=True)
    return logits.detach(), [
        torch.zeros_like(w) if g is None else g for w, g in zip(weights.values(), gradients, strict=True)
    ]


def check_equal_to_those_alone(config, weights, questions):
    asked = stacked.Asked.of(questions)
    stack = {name: torch.stack([w[name].detach() for w in weights]).requires_grad_() for name in weights[0]}
    logits = stacked.answer_logits(config, asked)(stack)
    direction = torch.arange(logits.numel()).reshape(logits.shape).double().sin() * asked.is_asked[..., None]
    gradients = torch.autograd.grad((logits * direction).sum(), list(stack.values()), allow_unused=True)
    for i, (own, one) in enumerate(zip(weights, questions, strict=True)):
        n = len(one.labels)
        expected, expected_gradients = alone(config, own, one, direction[i, :n])
        torch.testing.assert_close(logits[i, :n].detach(), expected, **close)
        for found, wanted in zip(gradients, expected_gradients, strict=True):
            torch.testing.assert_close(
                torch.zeros_like(wanted) if found is None else found[i], wanted, **close
            )


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(networks(), st.lists(st.integers(1, 40), min_size=1, max_size=4))
def test_one_layer_members_answer_as_they_do_alone(case, sizes):
    config, tokens, seed = case
    generator = torch.Generator().manual_seed(seed + 1)
    questions = []
    for n in sizes:
        rows = tokens[torch.randint(len(tokens), (n,), generator=generator)]
        questions.append(asked_at_the_end(rows, torch.zeros(n, dtype=torch.long)))
    check_equal_to_those_alone(
        config, [drawn_weights(config, seed + i) for i in range(len(sizes))], questions
    )


@pytest.mark.parametrize("model", [{"n_layers": 2, "normalization_type": "LN"}, {"n_heads": 0}])
def test_other_networks_answer_as_they_do_alone(model):
    config = tiny_config(model=model).model
    tasks = [replace(tiny_config().task, split_seed=i, train_fraction=0.3 + 0.2 * i).task() for i in range(3)]
    questions = [task.of_split("train") for task in tasks]
    assert not stacked.is_factorized(config, stacked.Asked.of(questions))
    check_equal_to_those_alone(config, [drawn_weights(config, i) for i in range(3)], questions)


def test_questions_in_the_middle_of_an_example():
    config = tiny_config(model={"n_layers": 2}).model
    generator = torch.Generator().manual_seed(0)
    questions = []
    for n in (5, 8):
        inputs = torch.randint(11, (4, 3), generator=generator)
        where = (torch.randint(k, (n,), generator=generator) for k in (4, 3))
        questions.append(Questions(inputs, *where, torch.zeros(n, dtype=torch.long)))
    check_equal_to_those_alone(config, [drawn_weights(config, i) for i in range(2)], questions)


def test_padding_has_no_weight_and_the_rest_is_a_mean():
    questions = [asked_at_the_end(torch.ones(n, 3, dtype=torch.long), torch.arange(n)) for n in (2, 5)]
    asked = stacked.Asked.of(questions)
    assert asked.weights.tolist() == [[0.5, 0.5, 0, 0, 0], [0.2] * 5]
    assert asked.labels.tolist() == [[0, 1, 0, 0, 0], [0, 1, 2, 3, 4]]
    assert asked.inputs.shape == (2, 5, 3)


def test_the_quick_end_has_the_loss_and_gradients_of_the_differentiable_one():
    config = tiny_config().model
    tasks = [replace(tiny_config().task, split_seed=i, train_fraction=0.3 + 0.2 * i).task() for i in range(3)]
    asked = stacked.Asked.of([task.of_split("train") for task in tasks])
    own = [drawn_weights(config, i) for i in range(3)]
    weights = {name: torch.stack([w[name].detach() for w in own]).requires_grad_() for name in own[0]}
    rows = stacked.Rows.of(asked.inputs, config.n_heads)
    stream = stacked.residual(config, weights, rows).detach().requires_grad_()
    logits = stacked.after_attention(config, weights, stream)
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), asked.labels.flatten(), reduction="none")
    wanted = (losses.view(asked.labels.shape) * asked.weights).sum(-1)
    names = sorted(stacked_head.Head.names)
    of_stream, *of_weights = torch.autograd.grad(wanted.sum(), [stream, *(weights[name] for name in names)])

    written = {name: torch.full_like(w, torch.nan) for name, w in weights.items()}
    head = stacked_head.Head({name: w.detach() for name, w in weights.items()}, written, asked)
    found, of_stream_found = head.gradients(stream.detach(), counts=True)
    torch.testing.assert_close(found.losses, wanted.detach(), **close)
    torch.testing.assert_close(of_stream_found, of_stream, **close)
    for name, gradient in zip(names, of_weights, strict=True):
        torch.testing.assert_close(written[name], gradient, **close)
    right = (logits.argmax(-1) == asked.labels) & asked.is_asked
    assert found.n_right.tolist() == right.sum(-1).tolist()
    assert 0 < found.n_right.sum() < asked.is_asked.sum()
    scored = head.scores(stream.detach())
    assert torch.equal(scored.losses, found.losses) and torch.equal(scored.n_right, found.n_right)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"act_fn": "gelu"}, "ReLUs"),
        ({"d_mlp": 0}, "ReLUs"),
        ({"mlp_bias": False}, "ReLUs with biases"),
        ({"normalization_type": "LN"}, "without LayerNorm"),
        ({"tied_unembed": True}, "unembedding of its own"),
        ({"unembed_bias": True}, "without bias"),
    ],
)
def test_what_the_quick_end_does_not_compute(change, why):
    config = tiny_config().model
    assert stacked_head.obstacle(config) is None
    assert why in stacked_head.obstacle(replace(config, **change))
