"""A config.json decides neither which code is loaded nor how much memory is taken."""

import json
import time
import tracemalloc

import pytest
import torch
import transformers

from interp.networks.bridge import bridge
from interp.networks.huggingface_config import check_counts, network_fields


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    sizes = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    return transformers.GPTNeoXForCausalLM(
        transformers.GPTNeoXConfig(**sizes, intermediate_size=32, max_position_embeddings=24)
    )


@pytest.fixture
def written(model, tmp_path):
    """Writes the model's config with changes and gives its folder; None takes a field away."""

    def write(**changes):
        fields = {
            k: v for k, v in (model.config.to_dict() | changes).items() if v is not None or k not in changes
        }
        (tmp_path / "config.json").write_text(json.dumps(fields))
        return tmp_path

    return write


LOADED = {
    "attn_implementation": "evil/kernel",
    "_attn_implementation": "evil/kernel",
    "_attn_implementation_internal": "evil/kernel",
    "_experts_implementation": "evil/kernel",
    "auto_map": {"AutoModelForCausalLM": "evil/code--net.Net"},
    "quantization_config": {"quant_method": "gptq", "bits": 4},
    "custom_pipelines": {"x": {"impl": "evil.Pipeline"}},
    "_name_or_path": "evil/model",
    "fusion_config": {"x": True},
    "distributed_config": {"tp_size": 2},
    "device_map": "auto",
    "kernel_config": {"RMSNorm": "evil/kernel:RMSNorm"},
    "use_kernels": True,
    "tokenizer_name": "evil/tokenizer",
}


def test_what_loads_something_is_left_out_at_any_depth(written):
    folder = written(**LOADED, text_config={"hidden_size": 4, **LOADED, "parts": [LOADED]})
    fields = network_fields(folder / "config.json")
    assert not LOADED.keys() & fields.keys() and fields["hidden_size"] == 16
    assert fields["text_config"] == {"hidden_size": 4, "parts": [{}]}


def test_no_loader_is_reached(written, model, monkeypatch):
    def reached(*arguments, **options):
        raise AssertionError(f"a loader was reached: {arguments}")

    from transformers.integrations import hub_kernels
    from transformers.quantizers import auto

    for place, name in (
        (hub_kernels, "load_and_register_attn_kernel"),
        (hub_kernels, "get_kernel"),
        (transformers.modeling_utils, "load_and_register_attn_kernel"),
        (auto.AutoHfQuantizer, "from_config"),
    ):
        monkeypatch.setattr(place, name, reached, raising=False)
    built = bridge(written(**LOADED), dict(model.state_dict()), "Step 0")
    tokens = torch.arange(12)[None]
    with torch.no_grad():
        torch.testing.assert_close(built(tokens), model.eval()(tokens).logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        # Left out, sizes are those of a network of billions.
        ({"hidden_size": None, "intermediate_size": None, "num_hidden_layers": None, "vocab_size": None},
         r"describes a network of \d\d,\d{3},\d{3},\d{3} numbers .* and the checkpoint has \d+,\d{3}"),
        ({"hidden_size": 200_000}, "describes a network of"),
        ({"num_hidden_layers": 10**6}, r"says num_hidden_layers=1000000: the checkpoint has 28 tensors of at most"),
        ({"num_attention_heads": 10**6}, r"says num_attention_heads=1000000"),
        ({"hidden_size": "many"}, r"config\.json is no config of GPTNeoXConfig: "),
        ({"model_type": ["gpt_neox"]}, r"names the architecture \['gpt_neox'\], which transformers"),
    ],
)  # fmt: skip
def test_configs_that_do_not_fit_take_no_memory(written, model, changes, message):
    weights = dict(model.state_dict())
    start = time.process_time()
    tracemalloc.start()
    with pytest.raises(ValueError, match=message):
        bridge(written(**changes), weights, "Step 0")
    assert tracemalloc.get_traced_memory()[1] < 10**8 and time.process_time() - start < 20
    tracemalloc.stop()


def test_files_that_are_no_config(tmp_path):
    for text, message in (
        ("[1]", "holds no object"),
        ("[" * 10**5, "not readable JSON"),
        ("{", "not readable JSON"),
    ):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(ValueError, match=rf"config\.json .*{message}|config\.json {message}"):
            network_fields(tmp_path / "config.json")
    check_counts({"num_hidden_layers": 0, "n_experts": 0}, {}, "here")
