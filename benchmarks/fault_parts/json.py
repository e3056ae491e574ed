"""Every field of run.json and index.json altered: a sentence, or the same numbers; never a traceback or another run.

run.json is altered twice: with its checksum as it was, where only what it says already may be read or resumed; and with
the line "checksum" deleted, as by a user who edits it and means it: then it counts, and must be possible.
"""

import copy
import json
import random
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.fault_parts.files import NAMED_BY_INDEX
from benchmarks.fault_parts.material import Material, check_same, run_json
from benchmarks.fault_parts.processes import Failed, check_sentence, ran, value_of
from benchmarks.fault_parts.promises import REFUSED, check_kept, readings
from benchmarks.fault_parts.trials import Trial

# Beyond what a process has that has done nothing yet.
MEMORY = 2**30
# Of what a command prints.
MOST_SAID = 100_000
RUNS = (("interrupted", "run.json"), ("interrupted", "index.json"), ("imported", "run.json"))
NAMED = {"run.json": ("run.json",), "index.json": ("index.json", *NAMED_BY_INDEX)}
# What is wrong with a run.json that was meant may show elsewhere, as where a size does not fit the data.
OF_MEANT = ("run.json", "'run'", "task.safetensors", "history.parquet", "--device")
MARK = "what stands in the file itself"

# Texts of JSON, or of what is none.
VALUES = {
    "of another type": {
        "null": "null", "true": "true", "text": '"x"', "number": "7", "share": "0.5", "list": "[]", "object": "{}",
        "nested": "[" * 40 + "]" * 40, "odd list": '["a", 3, null]', "nested objects": '{"a": {"b": [{}]}}',
    },
    "absurd": {
        "1e15": str(10**15), "1e308": "1e308", "1e999": "1e999", "negative": "-1", "NaN": "NaN",
        "thousands of digits": "9" * 5000, "long text": json.dumps("x" * 10**6), "escape": r'"\u001b[2J\u0000\ud800"',
        "deep": "[" * 10**5 + "]" * 10**5, "path": '"../../../../etc/passwd"',
    },
}  # fmt: skip
# Of the values of a kind, so many a field; which ones goes round.
N_EACH = {"of another type": 1, "absurd": 2}
DEEP = 100_000
Place = tuple[str | int, ...]


def trials(material: Material) -> Iterator[Trial]:
    names = ("interrupted", "whole", "imported")
    whole = {name: value_of(partial(readings, material.run(name))) for name in names}
    for run, name in RUNS:
        text = (material.run(run) / name).read_text("utf-8")
        for what, kind, changed in _altered(json.loads(text), name, is_first=run == "interrupted"):
            act = partial(_tried, material, run, whole, name, changed)
            yield Trial(f"json/{run}/{name}/{what}", kind, act)
        for what, data in _no_json(text):
            act = partial(_tried, material, run, whole, name, data)
            yield Trial(f"json/{run}/{name}/{what}", "a file that is no JSON, or none of a run", act)
    value = run_json(material.run("interrupted"))
    del value["checksum"]
    for what, kind, changed in _altered(value, "run.json", without_checksum=True):
        act = partial(_meant, material, whole["interrupted"], changed)
        yield Trial(f"json/meant/run.json/{what}", kind, act)


# What is altered, and how.


def _altered(
    value: Any, name: str, *, is_first: bool = True, without_checksum: bool = False
) -> Iterator[tuple[str, str, bytes]]:
    """Name, row and content of every alteration of the value of a file; the config's once, which is much the same."""
    of = f"{name}{' without its checksum' if without_checksum else ''}"
    places = [place for place in _places(value) if is_first or place[0] != "config" or len(place) == 1]
    for n, place in enumerate(places):
        field = ".".join(map(str, place))
        yield f"{field}/left out", f"{of}: a field left out", _text(value, place, None)
        if (other := _plausible(_at(value, place))) is not None:
            yield f"{field}/plausible", f"{of}: a plausible other value", _text(value, place, other)
        if isinstance(place[-1], str):
            twice = _text(value, place, f"{json.dumps(_at(value, place))}, {json.dumps(place[-1])}: 7")
            yield f"{field}/twice", f"{of}: a field twice", twice
        for kind, values in VALUES.items():
            for i in range(N_EACH[kind]):
                said = list(values)[(n * N_EACH[kind] + i) % len(values)]
                row = f"{of}: {'an absurd value' if kind == 'absurd' else f'a value {kind}'}"
                yield f"{field}/{said}", row, _text(value, place, values[said])


def _places(value: Any, place: Place = ()) -> Iterator[Place]:
    """Every field, of a list the first and the last; of an index two steps, with two tensors each."""
    names: list[str | int] = []
    if isinstance(value, dict):
        names = list(value)
        if place == () and "0" in value:
            names = [names[0], names[len(names) // 2]]
        elif place[-1:] == ("tensors",):
            names = names[:2]
    elif isinstance(value, list) and value:
        names = [*dict.fromkeys((0, len(value) - 1))]
    for name in names:
        yield (*place, name)
        yield from _places(value[name], (*place, name))


def _at(value: Any, place: Place) -> Any:
    for name in place:
        value = value[name]
    return value


def _text(value: Any, place: Place, new: str | None) -> bytes:
    """The file with this text in place of a field's value, or without the field."""
    changed = copy.deepcopy(value)
    parent = _at(changed, place[:-1])
    if new is None:
        del parent[place[-1]]
    else:
        parent[place[-1]] = MARK
    return json.dumps(changed, indent=2).replace(json.dumps(MARK), new or "").encode()


def _plausible(value: Any) -> str | None:
    """Another value of the same kind: one digit or letter changed."""
    if isinstance(value, bool):
        return json.dumps(not value)
    if isinstance(value, int):
        return str(value + 1)
    if isinstance(value, float):
        return repr(value * 2 if value else 0.25)
    if isinstance(value, str) and value:
        last = value[-1]
        return json.dumps(value[:-1] + ("1" if last != "1" else "2") if last.isalnum() else value + "1")
    return None


def _no_json(text: str) -> Iterator[tuple[str, bytes]]:
    whole = text.encode()
    yield from {
        "empty": b"", "cut": whole[: len(whole) // 2], "list": b"[]", "null": b"null", "number": b"7", "text": b'"x"',
        "brace": b"{", "object": b"{}", "zeros": bytes(len(whole)), "no UTF-8": b"\xff\xfe" + whole,
        "byte order mark": b"\xef\xbb\xbf" + whole, "UTF-16": text.encode("utf-16"), "twice": whole * 2,
        "deep list": b"[" * DEEP + b"]" * DEEP, "deep object": b'{"a":' * DEEP,
        "digits": b'{"0": ' + b"9" * 5000 + b"}",
        "50 MB of a text": json.dumps({"format": "x" * 50_000_000}).encode(),
        "many keys": json.dumps({str(i): i for i in range(300_000)}).encode(),
        "comment": b"// a run\n" + whole, "single quotes": whole.replace(b'"', b"'"),
        "other line ends": whole.replace(b"\n", b"\r\n"),
    }.items()  # fmt: skip


# What must come of it.


def _tried(
    material: Material,
    run: str,
    whole: Mapping[str, Mapping[str, str]],
    name: str,
    data: bytes,
    folder: Path,
    draw: random.Random,
) -> None:
    path = material.copy(run, folder / "run")
    (path / name).write_bytes(data)
    named = NAMED[name]
    _check_said(path, "info", *named)
    verified = ran("verify", path, memory=MEMORY)
    check_sentence(verified, *named)
    check_kept(whole[run], value_of(partial(readings, path)), verified, named)
    # That it was not trained here is said of an imported one, whatever else is wrong.
    if run == "imported" or _check_said(path, "resume", *named):
        return
    verified = ran("verify", path)
    if verified.code:
        # An entry that is gone from the index stays away, and verify says so before and after.
        check_kept(whole["whole"], value_of(partial(readings, path)), verified, named)
    else:
        check_same(material.run("whole"), path)


def _meant(
    material: Material, whole: Mapping[str, str], data: bytes, folder: Path, draw: random.Random
) -> None:
    """A run.json whose user means it: what can be is done, what cannot is said; the same config gives the same run."""
    path = material.copy("interrupted", folder / "run")
    (path / "run.json").write_bytes(data)
    config = value_of(partial(readings, path))["run.json"]
    if config.startswith(REFUSED) and "run.json" not in config:
        raise Failed(f"does not name run.json: {config}")
    for command in ("info", "verify"):
        _check_said(path, command, *OF_MEANT)
    code = _check_said(path, "resume", *OF_MEANT)
    if not code and config == whole["run.json"]:
        check_same(material.run("whole"), path)


def _check_said(path: Path, command: str, *named: str) -> int:
    """The exit code of a command, which must have ended in a sentence, with bounded memory, time and text."""
    ended = ran(command, path, memory=MEMORY)
    check_sentence(ended, *named)
    if (n := len(ended.out) + len(ended.error)) > MOST_SAID:
        raise Failed(f"interp {command} printed {n} characters")
    return ended.code
