"""Files that would mislead, write elsewhere, or have a library run what a config names."""

import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.fault_parts.material import Material
from benchmarks.fault_parts.pickled import as_pickle, payloads
from benchmarks.fault_parts.processes import command, load_what_is_used
from benchmarks.fault_parts.strange import Hostile, Place, alone_and_beside, saved, trial, written
from benchmarks.fault_parts.trials import Trial

NAMES, FORMS = "names with escapes, separators, '..'", "tensors of other forms, NaN and infinity"
LINKS, HUB = "links and archives that lead elsewhere", "Hugging Face folders that bring code"

ESCAPE = "\x1b[2J\x1b]0;x\x07"
TENSOR_NAMES = (
    "a/b", "../x", "../../victim/notes.txt", "/tmp/x", "a\\b", "C:x", "nul\0x", "w" * 5000, "CON", "nul.weight", "",
    ESCAPE, "a..b", "x\nforged: line", "x\r\nforged", "\u202egnp.exe", "\u2028x", "{0.__class__}", "%s%n", "~", "$HOME",
)  # fmt: skip
FILE_NAMES = (
    f"step_5{ESCAPE}.pt", "step_5\nforged.pt", "-rf.pt", "--help.pt", "step_5 .pt", "\u202estep_5.pt", "{0}.pt",
    "%s.pt", "step_5;touch canary.pt", "$(touch canary).pt", "~.pt", "hf:x.pt", "step_99999999999999999999999.pt",
    "step_-5.pt", "step_1e9.pt", "s" * 240 + ".pt", b"step_5\xff\xfe.pt",
)  # fmt: skip


def trials(material: Material) -> Iterator[Trial]:
    for hostile in (*_names(), *_forms(), *_links(), *_hub(material)):
        yield trial(material, hostile)


# Names.


def _names() -> Iterator[Hostile]:
    for n, name in enumerate(TENSOR_NAMES):
        for carrier in ("torch", "safetensors"):
            make = partial(_tensor_named, name=name, carrier=carrier)
            yield Hostile(f"names/tensor{n}/{carrier}", NAMES, make)
        yield Hostile(f"names/loss{n}", NAMES, partial(_recorded_under, name=name))
    for n, name in enumerate(FILE_NAMES):
        yield from alone_and_beside(f"names/file{n}", NAMES, partial(_file_named, name=name))
        yield Hostile(f"names/folder{n}", NAMES, partial(_folder_named, name=name))
    for field in ("status", "forward_path", "version", "unit", "history_is", "source", "sessions", "format"):
        yield Hostile(f"names/run/{field}", NAMES, partial(_run_says, field=field), run="whole")
    for field in ("name", "step", "file", "checksum"):
        yield Hostile(f"names/index/{field}", NAMES, partial(_index_says, field=field), run="whole")


def _tensor_named(place: Place, name: str, carrier: str) -> Path:
    import torch
    from safetensors.torch import save

    state = place.state | {name: torch.ones(2)}
    return saved(place, state) if carrier == "torch" else written(place, "step_5.safetensors", save(state))


def _recorded_under(place: Place, name: str) -> Path:
    extra = {name: 0.5, "config": {name: name, "act_fn": name}, "dtype": name}
    return saved(place, place.content | extra | {"train_losses": {name: [0.5]}})


def _file_named(place: Place, name: str | bytes) -> Path:
    path = saved(place, place.content, "whole")
    return path.rename(os.path.join(place.source, os.fsdecode(name)))


def _folder_named(place: Place, name: str | bytes) -> Path:
    folder = place.source / os.fsdecode(name)
    folder.mkdir()
    saved(place, place.content).rename(folder / "step_5.pt")
    (folder / "log.json").write_text("[")
    return folder


def _run_says(place: Place, field: str) -> Path:
    return _altered(place, "run.json", lambda about: about | {field: f"complete{ESCAPE}\nforged"})


def _index_says(place: Place, field: str) -> Path:
    def change(index: dict[str, Any]) -> dict[str, Any]:
        first = dict(next(iter(index.values())))
        odd = f"../../victim/notes.txt{ESCAPE}"
        if field == "step":
            return index | {odd: first}
        if field == "name":
            return index | {"20": first | {"tensors": {odd: "0"}}}
        return index | {"20": first | {field: odd}}

    return _altered(place, "index.json", change)


def _altered(place: Place, name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Path:
    file = place.source / name
    about = change(json.loads(file.read_text("utf-8")))
    # As one who edits it by hand and means it.
    about.pop("checksum", None)
    file.write_text(json.dumps(about), "utf-8")
    return place.source


# Forms.


def _odd_tensors() -> dict[str, Callable[[Any], Any]]:
    return {
        "nan": lambda t: t.full((12, 16), float("nan")),
        "inf": lambda t: t.full((12, 16), float("-inf")),
        "huge": lambda t: t.full((12, 16), 3e38),
        "int": lambda t: t.ones(12, 16, dtype=t.int64),
        "bool": lambda t: t.ones(12, 16, dtype=t.bool),
        "half": lambda t: t.ones(12, 16, dtype=t.float16),
        "double": lambda t: t.ones(12, 16, dtype=t.float64),
        "complex": lambda t: t.ones(12, 16, dtype=t.complex64),
        "float8": lambda t: t.ones(12, 16).to(t.float8_e4m3fn),
        "float4": lambda t: t.zeros(12, 16, dtype=t.uint8).view(t.float4_e2m1fn_x2),
        "uint16": lambda t: t.ones(12, 16, dtype=t.uint16),
        "nested": lambda t: t.nested.nested_tensor([t.ones(2), t.ones(3)]),
        "jagged": lambda t: t.nested.nested_tensor([t.ones(2), t.ones(3)], layout=t.jagged),
        "quantised": lambda t: t.quantize_per_tensor(t.ones(12, 16), 0.1, 0, t.qint8),
        "sparse": lambda t: t.ones(12, 16).to_sparse(),
        "rows": lambda t: t.ones(12, 16).to_sparse_csr(),
        "meta": lambda t: t.ones(12, 16, device="meta"),
        "scalar": lambda t: t.tensor(1.0),
        "parameter": lambda t: t.nn.Parameter(t.ones(12, 16)),
        "conjugate": lambda t: t.ones(12, 16, dtype=t.complex64).conj(),
        "negative": lambda t: t._neg_view(t.ones(12, 16)),
        "none": lambda t: None,
        "storage": lambda t: t.ones(12, 16).untyped_storage(),
    }


def _forms() -> Iterator[Hostile]:
    for n, name in enumerate(_odd_tensors()):
        for m, key in enumerate(("weight", "all", "loss", "rows", "step")):
            # The older format by turns.
            make = partial(_odd, name=name, key=key, is_new=bool((n + m) % 2))
            yield Hostile(f"forms/{name}/{key}", FORMS, make)


def _odd(place: Place, name: str, key: str, is_new: bool) -> Path:
    import warnings

    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tensor = _odd_tensors()[name](torch)
        content = {
            "weight": {"model": place.state | {"embed.W_E": tensor}, "step": 5},
            "all": dict.fromkeys(place.state, tensor),
            "loss": place.content
            | {"train_loss": tensor, "test_losses": [tensor, tensor], "lr": {"x": tensor}},
            "rows": place.content | {"train_data": tensor, "is_train": tensor, "test_indices": [tensor]},
            "step": place.content | {"step": tensor, "epoch": tensor},
        }[key]
        try:
            return saved(place, content, _use_new_zipfile_serialization=is_new)
        # torch cannot save some of them in each format: then as text, which is no checkpoint either.
        except Exception:
            return written(place, "step_5.pt", b"no checkpoint")


# Links.


LINKED = (
    "steps", "packed", "measures", "lock", "run.json", "index.json", "history.parquet", "latest.safetensors",
    "task.safetensors", "steps/0000000020.safetensors", "packed/embed.W_E.npy", "packed/lock", "measures/lock",
)  # fmt: skip


def _links() -> Iterator[Hostile]:
    for name, make in {
        "file": lambda place: (place.source / "step_5.pt").symlink_to(place.victim / "notes.txt"),
        "nowhere": lambda place: (place.source / "step_5.pt").symlink_to("nowhere"),
        "itself": lambda place: (place.source / "step_5.pt").symlink_to("step_5.pt"),
        "above": lambda place: (place.source / "step_5").symlink_to(".."),
        "around": lambda place: (place.source / "checkpoint-5").symlink_to("."),
        "system": lambda place: (place.source / "checkpoint-5").symlink_to("/"),
        "log": lambda place: (place.source / "log.json").symlink_to("/etc/passwd"),
        "shard": lambda place: written(place, "model.safetensors.index.json", _index(place)),
    }.items():
        yield Hostile(f"links/source/{name}", LINKS, partial(_linked, link=make))
    for name in LINKED:
        for to in ("notes.txt", "", "missing"):
            yield Hostile(
                f"links/run/{name}/{to or 'folder'}",
                LINKS,
                partial(_link_in_run, name=name, to=to),
                run="whole",
            )
    for n, name in enumerate(
        ("../victim/notes.txt", "/etc/evil", "archive/../../victim/notes.txt", "..\\x", "C:\\x")
    ):
        yield from alone_and_beside(f"links/archive{n}", LINKS, partial(_archive, name=name))
    yield Hostile("links/shards", LINKS, _shards)


def _linked(place: Place, link: Callable[[Place], Any]) -> Path:
    link(place)
    return saved(place, place.content, "step_1.pt").parent


def _index(place: Place) -> bytes:
    return json.dumps({"weight_map": {"embed.W_E": "../victim/notes.txt"}}).encode()


def _link_in_run(place: Place, name: str, to: str) -> Path:
    import shutil

    path = place.source / name
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(place.victim / to)
    return place.source


def _archive(place: Place, name: str) -> Path:
    import zipfile

    path = saved(place, place.content)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, "theirs")
    return path


def _shards(place: Place) -> Path:
    import shutil

    from safetensors.torch import save

    written(place, "checkpoint-5/config.json", b'{"model_type": "gpt2"}')
    shards = {"a": "model-1.safetensors", "b": "../../victim/notes.txt", "c": "/etc/passwd", "d": ""}
    written(place, "checkpoint-5/model.safetensors.index.json", json.dumps({"weight_map": shards}).encode())
    written(place, "checkpoint-5/model-1.safetensors", save(place.state))
    shutil.copytree(place.source / "checkpoint-5", place.source / "checkpoint-6", symlinks=True)
    return place.source


# Hugging Face.

MODULE = "modeling_evil.py"
AUTO = dict.fromkeys(
    ("AutoConfig", "AutoModel", "AutoModelForCausalLM", "AutoTokenizer"), "modeling_evil.Evil"
)
CONFIGS: dict[str, dict[str, Any]] = {
    "auto_map": {"auto_map": AUTO},
    "auto_map-unknown": {"auto_map": AUTO, "model_type": "evil"},
    "auto_map-elsewhere": {"auto_map": {key: f"evil/repo--{value}" for key, value in AUTO.items()}},
    "trust": {"auto_map": AUTO, "trust_remote_code": True, "model_type": "evil"},
    "attention": {"attn_implementation": "evil/kernel", "_attn_implementation": "evil/kernel"},
    "attention-internal": {
        "_attn_implementation_internal": "evil/kernel:f",
        "_attn_implementation_autoset": True,
    },
    "experts": {"_experts_implementation": "evil/kernel", "use_kernels": True},
    "elsewhere": {"_name_or_path": "../victim", "name_or_path": "../victim"},
    "architectures": {"architectures": ["__import__('os').mkdir('canary')", "Evil"]},
    "dtype": {"torch_dtype": "__import__('os')", "dtype": "float128"},
    "activation": {"activation_function": "os.system", "hidden_act": "eval"},
    "quantised": {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}},
    "quantised-unknown": {"quantization_config": {"quant_method": "evil", "modules": AUTO}},
    "pipelines": {"custom_pipelines": {"evil": {"impl": "modeling_evil.Evil", "pt": ["AutoModel"]}}},
    "plan": {"base_model_tp_plan": {"*": "eval"}, "tie_word_embeddings": "eval"},
    "labels": {"num_labels": 10**8},
    "vocabulary": {"vocab_size": 10**12},
    "layers": {"n_layer": 10**9},
    "width": {"n_embd": 10**9, "n_head": 1},
    "no-sizes": {"n_embd": None, "n_layer": None, "vocab_size": None},
    "odd-sizes": {"n_embd": "16", "n_layer": [1], "vocab_size": 1e308},
    "negative": {"n_embd": -4, "n_layer": -1, "vocab_size": -1, "n_head": 0},
    "escapes": {"architectures": [ESCAPE], "model_type": f"gpt2{ESCAPE}", "x": ESCAPE},
    "list": {"model_type": ["gpt2"]},
}
FILES = {
    "tokenizer_config.json": {"auto_map": {"AutoTokenizer": ["modeling_evil.Evil", None]}, "tokenizer_class": "Evil"},
    "generation_config.json": {"custom_generate": "../victim", "auto_map": AUTO, "num_beams": 10**9},
    "adapter_config.json": {"base_model_name_or_path": "../victim", "auto_mapping": AUTO, "peft_type": "LORA"},
    "preprocessor_config.json": {"auto_map": AUTO},
    "quantize_config.json": {"quant_method": "evil"},
}  # fmt: skip


def _hub(material: Material) -> Iterator[Hostile]:
    load_what_is_used(partial(_opened_once, material.path / "hub"))
    for name, changes in CONFIGS.items():
        yield Hostile(f"hub/config/{name}", HUB, partial(_config, changes=changes), stated=False)
    for name in FILES:
        yield Hostile(f"hub/file/{name}", HUB, partial(_file, name=name), stated=False)
    for weights in ("pytorch_model.bin", "model.safetensors"):
        yield Hostile(f"hub/weights/{weights}", HUB, partial(_weights, name=weights), stated=False)


def _opened_once(folder: Path) -> None:
    folder.mkdir()
    place = Place(folder, folder / "canary", folder, {})
    command("info", _config(place, {}))()


def _config(place: Place, changes: dict[str, Any]) -> Path:
    import transformers

    sizes = {"vocab_size": 12, "n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 8}
    folder = place.source / "series" / "checkpoint-5"
    transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes)).save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config | changes), "utf-8")
    code = f"open({str(place.canary)!r}, 'w').close()\nclass Evil: pass\n"
    for name in (
        MODULE,
        "configuration_evil.py",
        "setup.py",
        "__init__.py",
        "conftest.py",
        "custom_generate/generate.py",
    ):
        written(place, f"series/checkpoint-5/{name}", code.encode())
        written(place, f"series/{name}", code.encode())
    return folder.parent


def _file(place: Place, name: str) -> Path:
    path = _config(place, {})
    (path / "checkpoint-5" / name).write_text(json.dumps(FILES[name]), "utf-8")
    return path


def _weights(place: Place, name: str) -> Path:
    path = _config(place, {})
    (path / "checkpoint-5" / "model.safetensors").unlink()
    code = as_pickle(payloads(place.canary)["posix.system"])
    (path / "checkpoint-5" / name).write_bytes(code)
    return path
