"""The pickles of `benchmarks/faults.py --parts hostile` would run their code: plain pickle and torch do run it."""

import pickle
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from benchmarks.fault_parts.pickled import MARK, PROTOCOLS, Called, as_array, as_pickle, as_torch, payloads
from tests.thinned import thinned

OPENED_BY = {
    "pickle": "import pickle; pickle.load(open(sys.argv[1], 'rb'))",
    "torch": "import torch; torch.load(sys.argv[1], weights_only=False)",
    "numpy": "import numpy; numpy.load(sys.argv[1], allow_pickle=True)",
}


def opened(path, how):
    """Open a file in a process of its own; whatever comes of it."""
    subprocess.run(
        [sys.executable, "-c", f"import sys; {OPENED_BY[how]}", str(path)],
        cwd=path.parent,
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("name", payloads(Path()))
def test_every_payload_creates_its_canary(tmp_path, name):
    canary = tmp_path / "canary"
    # In this process: what they do is known, and it is one file.
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        # One wants a module back, after its code has run.
        wants_more = pytest.raises(KeyError, match="forward") if "graph_module" in name else nullcontext()
        with wants_more:
            made = pickle.loads(as_pickle(payloads(canary)[name]))
            getattr(made, "close", int)()
    assert canary.exists()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_creates_it(tmp_path, protocol):
    canary = tmp_path / "canary"
    pickle.loads(pickle.dumps(Called(eval, f"open({str(canary)!r}, 'w').close()"), protocol))
    assert canary.exists()


@pytest.mark.parametrize("how", thinned(OPENED_BY, 2))
def test_every_carrier_creates_it(tmp_path, how):
    canary, file = tmp_path / "canary", tmp_path / "step_5.pt"
    opcodes = payloads(canary)["posix.system"]
    carriers = {
        "pickle": [as_pickle(opcodes)],
        "numpy": [as_array(as_pickle(opcodes))],
        "torch": [
            as_torch({"step": 5, "extra": MARK}, opcodes, is_legacy=is_legacy) for is_legacy in (False, True)
        ],
    }
    for data in carriers[how]:
        file.write_bytes(data)
        opened(file, how)
        assert canary.exists()
        canary.unlink()
