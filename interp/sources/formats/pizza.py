"""The Clock and Pizza repository: `config_<id>.json` beside `model_<id>.pt`, final weights only.

Weights are left-facing. What only the JSON says: the attention rate (`attn_coeff`), the operation (a Python lambda as
text, matched against the forms that the repository uses and never evaluated), separate tokens for the second operand
(`diff_vocab`), a third token "=" (`eqn_sign`). What it says wrongly: `"attention_dir": "casual"`, although the code
applies no mask (the stored one is unused): these networks are bidirectional. The split was drawn without a seed.

References: Zhong et al. 2023, "The clock and the pizza", the released code (pizza, train-main.py).
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from interp.sources.files import steps
from interp.sources.files.reading import SourceError
from interp.sources.files.steps import Position
from interp.sources.formats.format import Beside, Format, Found, json_with
from interp.sources.formats.left_facing import from_left_facing
from interp.sources.formats.network import Network

_X, _Y = r"x\[0\]", r"x\[1\]"
_FORMS = {
    rf"\(?(?:{_X}\+{_Y}|sum\(x\))\)?": "add",
    rf"\(?{_X}-{_Y}\)?": "subtract",
    rf"\(?{_X}\*{_Y}\)?": "multiply",
    rf"\(?{_X}\*\*2\+{_Y}\*\*2\)?": "x2+y2",
    rf"\(?{_X}\*\*2\+{_X}\*{_Y}\+{_Y}\*\*2\)?": "x2+xy+y2",
    rf"\(?{_X}\*\*2\+{_X}\*{_Y}\+{_Y}\*\*2\+{_X}\)?": "x2+xy+y2+x",
    rf"\(?{_X}\*\*3\+{_X}\*{_Y}\)?": "x3+xy",
    rf"\(?{_X}\*\*3\+{_X}\*{_Y}\*\*2\+{_Y}\)?": "x3+xy2+y",
}
_KEYS = ("attn_coeff", "C")
_ACTIVATIONS = {"ReLU": "relu", "GeLU": "gelu", "Tanh": "tanh"}


def pair_in(source: Path) -> Beside | None:
    """The config and its model file in a folder, or beside a file of the pair; None where there is no such pair.

    Raises:
        SourceError: if a folder holds several: they are different networks.
    """
    if source.is_dir():
        configs = sorted(source.glob("config_*.json"))
        pairs = [pair for config in configs if (pair := _pair_of(config))]
        if len(pairs) > 1:
            raise SourceError(
                f"{source} holds {len(pairs)} networks, each with its config: they are different runs. Import one at a "
                f"time, for instance {pairs[0].checkpoints}."
            )
        return pairs[0] if pairs else None
    name = re.sub(r"^model_", "config_", source.name) if source.suffix != ".json" else source.name
    return _pair_of(source.with_name(name).with_suffix(".json"))


def _pair_of(config: Path) -> Beside | None:
    model = config.with_name(config.name.replace("config_", "model_", 1)).with_suffix(".pt")
    if not model.is_file() or config == model:
        return None
    content = json_with(config, *_KEYS)
    return Beside(content, model) if content else None


def is_pizza(found: Found) -> bool:
    return set(_KEYS) <= found.beside.keys()


def final_epoch(found: Found) -> Position | None:
    """The epoch of the final weights."""
    epoch = steps.number(found.beside.get("epoch"))
    return None if epoch is None else Position(epoch, "epoch")


def from_pizza(found: Found, stated: Mapping[str, Any]) -> Network:
    """The network of a state dict with its JSON config.

    Raises:
        SourceError: if there is no config beside it, if it is one of the repository's linear models, if the config
            lacks or garbles what decides the network, and as `from_left_facing`.
    """
    config, where = found.beside, found.where
    if not is_pizza(found):
        raise SourceError(f"{where} has no config_*.json beside it, which format 'pizza' needs.")
    if config.get("use_linear") or "model_type" in config:
        raise SourceError(
            f"{where} is one of the linear models, which have no attention. Import it with an adapter (docs/import.md)."
        )
    rate, act = config["attn_coeff"], config.get("act_fn")
    if (
        not isinstance(rate, int | float)
        or isinstance(rate, bool)
        or not 0 <= rate <= 1
        or act not in _ACTIVATIONS
    ):
        raise SourceError(
            f"{where} has a config with attn_coeff={rate!r} and act_fn={act!r}; needed are a number from 0 to 1 and "
            f"one of {', '.join(_ACTIVATIONS)}."
        )
    p = config["C"]
    if not isinstance(p, int) or isinstance(p, bool) or p < 1:
        raise SourceError(
            f"{where} has a config with C={p!r:.60}, which is the modulus: a positive integer is needed."
        )
    by_config = {
        "attention_rate": float(rate),
        "act_fn": _ACTIVATIONS[act],
        "attention_dir": "bidirectional",
        "init": "pizza",
    }
    network = from_left_facing(found, by_config | dict(stated), mask_counts=False)
    task: dict[str, Any] = {
        "p": p,
        "separate_vocabularies": bool(config.get("diff_vocab")),
        "equals_token": bool(config.get("eqn_sign")),
    }
    if operation := operation_of(config.get("funcs"), p):
        task["operation"] = operation
    if isinstance(config.get("frac"), float) and 0 < config["frac"] < 1:
        task["train_fraction"] = config["frac"]
    return replace(network, task=task)


def operation_of(text: Any, p: int) -> str | None:
    """The operation that a lambda's text says, or None where its form is not known.

    >>> operation_of("lambda x: (x[0]+x[1])%59", 59), operation_of("lambda x: __import__('os')", 59)
    ('add', None)
    """
    if not isinstance(text, str):
        return None
    body = re.sub(r"\s", "", text)
    for form, operation in _FORMS.items():
        if re.fullmatch(rf"lambdax:{form}%{re.escape(str(p))}", body):
            return operation
    return None


PIZZA = Format(
    name="pizza",
    recognized_by="embed.W_E and a 2-D W_O beside a config_*.json with attn_coeff and C: Zhong et al. 2023",
    recognizes=is_pizza,
    network=from_pizza,
    beside=pair_in,
    position=final_epoch,
)
