"""docs/interventions.md runs on the bundled run, and names what there is."""

import re
from pathlib import Path

from interp.interventions import any_edit, shams

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docs" / "interventions.md").read_text("utf-8")


def test_the_example_runs(monkeypatch):
    monkeypatch.chdir(ROOT)
    found: dict = {}
    for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        exec(block, found)
    assert len(found["keys"]) == 5
    changes = {name: change for name, (change, _) in found["changes"].items()}
    # What the text asks: at this step the key frequencies carry more of the loss than as many others.
    assert changes["keys"] > abs(changes["others"])
    noise, keys = found["changes"]["noise"][1], found["changes"]["keys"][1]
    assert all(abs(noise[name] / keys[name] - 1) < 1e-4 for name in keys)
    assert found["logits"].shape == (113**2, 3, 113)
    assert set(found["without"]) == {0, 1, 2, 3}


def test_every_edit_and_every_sham_is_in_the_tables():
    kinds = [kind.__name__ for kind in (*any_edit._EDITS, *any_edit._ACTIVATION_EDITS)]
    short = {"RemoveRepresentations", "ScaleRepresentations", "GraftRepresentations"}
    assert [name for name in kinds if name not in short and f"`{name}`" not in TEXT] == []
    makers = (
        "other_frequencies",
        "other_representations",
        "other_neurons",
        "other_units",
        "random_direction",
    )
    assert all(hasattr(shams, name) and f"`{name}`" in TEXT for name in makers)
