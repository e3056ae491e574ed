"""The lock: predictions written down, with everything that decides how they will be judged, before anything is trained.

    predictions.json    format, version, run, branch_steps, arms, n_pairs, thresholds, predictions, primary, code,
                        commit, time, and `hash`: SHA-256 of the canonical JSON of all the rest

Canonical JSON has sorted keys and no spaces, so that the hash hangs on what the file says, not on how it is laid out.
A file whose hash does not fit was edited and is refused. What is judged and stands in no lock is exploratory.

References: Nosek et al. 2018, "The preregistration revolution".
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interp.ground.plain_json import json_value
from interp.ground.provenance import commit, now, versions
from interp.ground.whole_files import write_json
from interp.theories.prediction import Prediction, from_json, to_json

FORMAT, VERSION = "grokscope predictions", 1


@dataclass(frozen=True, kw_only=True)
class Lock:
    """What was written down, and when.

    Attributes:
        run: what identifies the run, texts and checksums.
        branch_steps: where arms leave the run, the main step first.
        arms: what will be trained, as JSON.
        n_pairs: how many pairs.
        thresholds: of the events, by event.
        predictions: all of them.
        code, commit, time: with what it was written, and when (UTC).
        hash: of all the rest.
    """

    run: Mapping[str, Any]
    branch_steps: tuple[int, ...]
    arms: tuple[Any, ...]
    n_pairs: int
    thresholds: Mapping[str, Any]
    predictions: tuple[Prediction, ...]
    code: str
    commit: str | None
    time: str
    hash: str

    @property
    def not_half_formed(self) -> list[str]:
        """The runs that arms leave where their circuit is not half formed; older locks do not say."""
        parents = self.run.get("parents", ())
        return [x["name"] for x in parents if not x.get("facts", {}).get("is_half_formed", True)]

    @property
    def primary(self) -> tuple[Prediction, ...]:
        """The predictions that are corrected for their number."""
        return tuple(prediction for prediction in self.predictions if prediction.primary)


def write_lock(
    path: Path,
    *,
    run: Mapping[str, Any],
    branch_steps: Sequence[int],
    arms: Sequence[Any],
    n_pairs: int,
    thresholds: Mapping[str, Any],
    predictions: Sequence[Prediction],
) -> Lock:
    """Write the file, whole or not at all, and return what it says.

    Raises:
        ValueError: if there is one already, two predictions have one name, or something is no JSON.
        OSError: if the disk refuses.
    """
    path = Path(path)
    if path.exists():
        raise ValueError(
            f"{path} exists. A lock is never written over, since what was predicted first must stay. Take a new "
            f"folder, or "
            "delete the file if nothing was trained under it."
        )
    _check_names(predictions)
    rest: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "run": dict(run),
        "branch_steps": [int(step) for step in branch_steps],
        "arms": list(arms),
        "n_pairs": n_pairs,
        "thresholds": dict(thresholds),
        "predictions": [to_json(prediction) for prediction in predictions],
        "primary": [f"{p.theory}: {p.name}" for p in predictions if p.primary],
        "code": versions()["grokscope"],
        "commit": commit(),
        "time": now(),
    }
    try:
        # As it will be read: tuples are lists, keys are texts.
        rest = json.loads(json.dumps(rest, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"A lock needs values that JSON holds, got one that it does not: {error}. Give texts, numbers and lists."
        ) from error
    write_json(path, {**rest, "hash": hash_of(rest)})
    return read_lock(path)


def read_lock(path: Path) -> Lock:
    """What the file says, if it is as it was written.

    Raises:
        ValueError: if it is missing, is no lock or one of another version, or was edited.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path} is missing. Write the predictions first: interp predict RUN.")
    return lock_of(path.read_bytes(), path)


def lock_of(text: bytes | str, where: Path | str) -> Lock:
    """What the text of such a file says, if it is as it was written.

    Args:
        where: what messages call it.

    Raises:
        ValueError: as `read_lock`.
    """
    try:
        value = json_value(text)
    except ValueError as error:
        raise ValueError(
            f"{where} needs to hold JSON, but {error}. Write the predictions anew in another folder."
        ) from error
    if not isinstance(value, dict) or value.get("format") != FORMAT or value.get("version") != VERSION:
        raise ValueError(
            f"{where} needs to be a lock of this version (format {FORMAT!r}, version {VERSION}), and is not. Judge "
            f"it with "
            "the version that wrote it, or write the predictions anew in another folder."
        )
    stated = value.pop("hash", None)
    if (found := hash_of(value)) != stated:
        raise ValueError(
            f"{where} was edited after it was written: its hash is {found[:16]}, and it says {str(stated)[:16]}. "
            f"Put the "
            "file back as it was; what is to be changed is a new lock in another folder, before anything is trained."
        )
    return Lock(
        run=value["run"],
        branch_steps=tuple(value["branch_steps"]),
        arms=tuple(value["arms"]),
        n_pairs=value["n_pairs"],
        thresholds=value["thresholds"],
        predictions=tuple(from_json(prediction) for prediction in value["predictions"]),
        code=value["code"],
        commit=value["commit"],
        time=value["time"],
        hash=found,
    )


def hash_of(rest: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON, in hexadecimal digits.

    >>> hash_of({"a": 1, "b": [2]}) == hash_of({"b": [2], "a": 1})
    True
    """
    canonical = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _check_names(predictions: Sequence[Prediction]) -> None:
    names = [(prediction.theory, prediction.name) for prediction in predictions]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(
            f"A lock needs predictions of different names, got {twice[1]!r} of {twice[0]!r} twice. Leave one of "
            f"them out."
        )
