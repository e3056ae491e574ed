"""A small loop of its own for rules: what each of them does can be read off without a run, a file or a schedule."""

from dataclasses import dataclass, field

import torch

from interp.networks.config import Weights, initial_weights
from interp.training.data import Data
from interp.training.optimizer import Optimizer
from interp.training.rules.base import Now, Rule
from interp.training.rules.recorded import mean_margin, tensor_norm, update_norm
from tests.tiny import tiny_config

RECIPE = tiny_config(optimizer={"warmup_steps": 0}).recipe()
DATA = Data(RECIPE.task.task(), RECIPE, "cpu")


@dataclass
class Traced:
    """Weights at each step (one more than there are updates), what was recorded there, and what is left at the end."""

    weights: list[Weights] = field(default_factory=list)
    path: list[dict[str, torch.Tensor]] = field(default_factory=list)
    records: list[dict[str, torch.Tensor]] = field(default_factory=list)
    memory: list[dict[str, Weights]] = field(default_factory=list)
    optimizer: Weights = field(default_factory=dict)


def trained(
    *rules: Rule,
    n: int = 20,
    paths: dict[str, Traced] | None = None,
    start: Weights | None = None,
    after: Traced | None = None,
    data: Data = DATA,
    **optimizer,
) -> Traced:
    """n updates with these rules, each with its own memory; `after` continues a trace from what it left."""
    since = len(after.records) if after else 0
    weights = start or START
    live = {k: w.clone().requires_grad_() for k, w in (after.weights[-1] if after else weights).items()}
    config = tiny_config(optimizer={"warmup_steps": 0} | optimizer).recipe().optimizer
    adam = Optimizer(config, live, after.optimizer if after else None)
    out = after or Traced(memory=[rule.start(weights) for rule in rules])
    for rule in rules:
        rule.check(live, RECIPE)
    if not after:
        out.weights.append({k: w.detach().clone() for k, w in live.items()})
    out.path = out.path[:since]
    for step in range(since, since + n):
        path, path_after = (
            {f"{arm}/{k}": x for arm, trace in (paths or {}).items() for k, x in trace.path[at].items()}
            for at in (step, step + 1)
        )
        now = Now(step=step, since=step, path=path, path_after=path_after)
        logits = data.train_logits(live)
        row = _row(live, logits, data)
        for rule in rules:
            logits = rule.logits(logits, data.train.labels, now)
        loss = data.loss(logits, data.train.labels)
        for rule in rules:
            loss = loss if (more := rule.penalty(live, now)) is None else loss + more
        loss.backward()
        with torch.no_grad():
            gradients = {k: w.grad for k, w in live.items()}
            for rule, memory in zip(rules, out.memory, strict=True):
                gradients = rule.gradients(gradients, live, memory, now)
                for name in rule.forgets(tuple(live), now):
                    adam.torch.state[live[name]].clear()
            for name, w in live.items():
                w.grad = gradients.get(name)
            before = {k: w.detach().clone() for k, w in live.items()}
            adam.step(step)
            now_at = {k: w.detach().clone() for k, w in live.items()}
            for rule, memory in zip(rules, out.memory, strict=True):
                now_at = rule.updated(before if rule.looks_back else {}, now_at, memory, now)
            for name, w in live.items():
                w.copy_(now_at[name])
        out.path.append(row | {"update_norm": update_norm(before, now_at)})
        out.records.append(now.records)
        out.weights.append({k: w.detach().clone() for k, w in live.items()})
    # The row of the last weights, which has no update.
    out.path.append(_row(live, data.train_logits(live), data))
    out.optimizer = adam.state()
    return out


def _row(live: Weights, logits: torch.Tensor, data: Data) -> dict[str, torch.Tensor]:
    norms = {f"norm/{k}": tensor_norm(w.detach()) for k, w in live.items()}
    return norms | {"margin": mean_margin(logits.detach(), data.train.labels)}


# A network that has begun to memorize: no weight is zero, and its margins are positive.
START = trained(n=60, start=initial_weights(RECIPE.model, 0)).weights[-1]


def same(a: list[Weights], b: list[Weights]) -> bool:
    """Equal to the last bit at every step."""
    return len(a) == len(b) and all(
        torch.equal(x[name], y[name]) for x, y in zip(a, b, strict=True) for name in x
    )
