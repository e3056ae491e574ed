"""Weights of one saved step, and the state of the optimizer beside them."""

from dataclasses import dataclass

from interp.ground import html_card
from interp.networks.config import Weights


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Weights after `step` updates, and the optimizer's state where it was saved.

    Attributes:
        optimizer: per-parameter state under "<state>/<parameter>" (exp_avg/embed.W_E, ...), or None.
    """

    step: int
    weights: Weights
    optimizer: Weights | None

    def __repr__(self) -> str:
        n = sum(w.numel() for w in self.weights.values())
        kinds = dict.fromkeys(name.partition("/")[0] for name in self.optimizer or ())
        state = (
            "no optimizer state"
            if self.optimizer is None
            else f"optimizer state {', '.join(kinds) or 'empty'}"
        )
        shapes = ", ".join(f"{name} {tuple(w.shape)}" for name, w in self.weights.items())
        return f"Checkpoint(step {self.step}, {n} parameters, {state}: {_cut(shapes)})"

    def _repr_html_(self) -> str:
        def parts() -> list[str]:
            kinds = dict.fromkeys(name.partition("/")[0] for name in self.optimizer or ())
            state = "none saved" if self.optimizer is None else ", ".join(kinds) or "empty"
            n = sum(w.numel() for w in self.weights.values())
            rows = [
                (name, " × ".join(map(str, w.shape)), str(w.dtype).removeprefix("torch."))
                for name, w in self.weights.items()
            ]
            about = html_card.lines({"parameters": f"{n:,}", "optimizer state": state})
            return [
                about,
                html_card.folded(f"{len(rows)} tensors", html_card.grid(("tensor", "shape", "dtype"), rows)),
            ]

        return html_card.shown_anyway(f"Checkpoint, step {self.step}", parts)


def _cut(text: str, length: int = 300) -> str:
    return text if len(text) <= length else text[:length] + " ..."
