"""A series of Hugging Face checkpoints, made here without a network: imported, measured, verified."""

import dataclasses
import gc
import json
import shutil
from pathlib import Path

import pandas as pd
import psutil
import pytest
import torch
import transformers
from huggingface_hub import constants

import interp
from interp.checks.of_run import verify_run
from interp.measurement.measure import measure
from interp.networks.bridge import bridge
from interp.probes.attention.induction_scores import head_scores
from interp.runs.run import open_run
from interp.runs.saving import update_record
from interp.runs.tensor_files import RunError
from interp.sources import import_run
from interp.sources.files.reading import SourceError, SourceWarning
from interp.sources.formats.huggingface.folders import find_series, read_weights, weight_files
from interp.sources.formats.huggingface.hub import download, is_hub_name

STEPS = (0, 1, 2, 10, 20)


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def tiny_model(seed=0, **changes):
    sizes = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.GPTNeoXConfig(
        **sizes | {"intermediate_size": 32, "max_position_embeddings": 24} | changes
    )
    torch.manual_seed(seed)
    return transformers.GPTNeoXForCausalLM(config)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folders checkpoint-<step> of a model under training, and its logits at each step on TOKENS."""
    folder, logits = tmp_path_factory.mktemp("hf") / "series", {}
    transformers.utils.logging.disable_progress_bar()
    model = tiny_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for step in range(max(STEPS) + 1):
        if step in STEPS:
            model.save_pretrained(folder / f"checkpoint-{step}")
            with torch.no_grad():
                logits[step] = model.eval()(TOKENS).logits
            log = [{"step": s, "loss": 3.0 - 0.1 * s, "epoch": s / 10} for s in range(1, step + 1)]
            state = {"global_step": step, "log_history": log}
            (folder / f"checkpoint-{step}" / "trainer_state.json").write_text(json.dumps(state))
            (folder / f"checkpoint-{step}" / "optimizer.pt").write_bytes(b"not looked at")
        batch = torch.randint(40, (8, 12), generator=torch.Generator().manual_seed(step))
        model(batch, labels=batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return folder, logits


TOKENS = torch.randint(40, (3, 12), generator=torch.Generator().manual_seed(99))


def copied(trained, tmp_path):
    return shutil.copytree(trained[0], tmp_path / "series")


def content(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_every_step_is_a_bridge_with_the_logits_of_the_trained_model(trained, tmp_path):
    folder, logits = trained
    before = content(folder)
    run = import_run(folder, tmp_path / "run")
    assert run.steps == list(STEPS) and run.unit == "step" and run.config.model is None
    for step in STEPS:
        model = run.model(step)
        torch.testing.assert_close(
            model(TOKENS), logits[step], atol=1e-5, rtol=0
        )  # float32, another order of sums
        _, cache = model.run_with_cache(TOKENS)
        pattern = cache["blocks.1.attn.hook_pattern"]
        assert pattern.shape == (3, 2, 12, 12)
        torch.testing.assert_close(pattern.sum(-1), torch.ones(3, 2, 12))
    assert not torch.allclose(logits[0], logits[20], atol=1e-2)
    with pytest.raises(
        RunError, match=r"A language model learned none: run model\(step\) on tokens of your own"
    ):
        run.task
    assert content(folder) == before
    assert not any("huggingface" in name for name in open_run(tmp_path / "run").index[0])


def test_weights_are_linked_and_what_was_logged_comes_along(trained, tmp_path):
    run = import_run(trained[0], tmp_path / "run")
    file = run.path / "steps" / "0000000010.safetensors"
    assert file.is_symlink() and file.resolve() == trained[0] / "checkpoint-10" / "model.safetensors"
    recorded = pd.read_parquet(run.path / "recorded.parquet")
    assert recorded["step"].tolist() == list(range(1, 21)) and recorded["loss"].iloc[9] == pytest.approx(2.0)
    assert run.history().empty
    assert run.weights("gpt_neox.embed_in.weight").shape == (5, 40, 16)


def test_probes_of_weights_and_attention_work_and_the_others_say_why_not(trained, tmp_path):
    run = import_run(trained[0], tmp_path / "run")
    tables = measure(
        run, ["weight_norms", "weight_spectra", "induction_scores", "embedding_spectrum", "losses"]
    )
    norms = tables["weight_norms"]
    assert norms["step"].unique().tolist() == list(STEPS)
    expected = read_weights(trained[0] / "checkpoint-20")["embed_out.weight"].double().norm().item()
    row = norms[(norms["step"] == 20) & (norms["matrix"] == "embed_out.weight")]
    assert row["l2"].item() == pytest.approx(expected)
    assert len(tables["weight_spectra"])
    scores = tables["induction_scores"]
    assert len(scores) == 5 * 2 * 2
    direct = head_scores(run.model(10), length=12, n_repeats=2, n_sequences=32, seed=0)
    again = scores[scores["step"] == 10].drop(columns=["run", "step"]).reset_index(drop=True)
    torch.testing.assert_close(torch.tensor(again.to_numpy()), torch.tensor(direct.to_numpy()))
    for name in ("embedding_spectrum", "losses"):
        assert tables[name].empty
        assert "no task that grokscope knows" in tables[name].attrs["not_applicable"]


def test_verify_is_clean_and_names_a_source_that_changed_or_went(trained, tmp_path):
    folder = copied(trained, tmp_path)
    run = import_run(folder, tmp_path / "run")
    assert verify_run(run.path, losses=5).problems == []
    file = folder / "checkpoint-10" / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-20] ^= 1
    file.write_bytes(bytes(data))
    (folder / "checkpoint-2" / "model.safetensors").unlink()
    report = verify_run(run.path, losses=0)
    assert [(f.kind, f.steps) for f in report.problems] == [("missing", (2,)), ("altered", (10,))]
    assert "which is gone" in report.problems[0].message
    with pytest.raises(RunError, match="is damaged"):
        run.model(10)


def test_a_config_that_changed_builds_no_network(trained, tmp_path):
    run = import_run(trained[0], tmp_path / "run")
    file = run.path / "huggingface" / "config.json"
    fields = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps(fields | {"layer_norm_eps": 10 * fields["layer_norm_eps"]}), "utf-8")
    with pytest.raises(RunError, match=r"config.json is damaged: its checksum is not .*interp verify .*run`"):
        run.model(run.steps[0])
    (found,) = verify_run(run.path, losses=0).problems
    assert (found.kind, found.where) == ("altered", "huggingface/config.json")
    # A run of an earlier version, whose run.json does not have it.
    source = {name: x for name, x in run.record.source.items() if name != "config_checksum"}
    update_record(run, dataclasses.replace(run.record, source=source))
    notes = verify_run(run.path, losses=0).findings
    assert ("unprotected", "huggingface/config.json") in {(f.kind, f.where) for f in notes}


def test_a_revision_that_serves_the_weights_of_another_is_found(trained, tmp_path):
    folder = copied(trained, tmp_path)
    shutil.copy(folder / "checkpoint-20" / "model.safetensors", folder / "checkpoint-2" / "model.safetensors")
    run = import_run(folder, tmp_path / "run")
    found = {f.kind: f.steps for f in verify_run(run.path, losses=0).problems}
    assert found["same weights"] == (2, 20)


def test_shards_and_bin_files_give_the_same_weights(trained, tmp_path):
    folder = copied(trained, tmp_path)
    for step, how in ((0, {"max_shard_size": "8KB"}), (20, {})):
        place = folder / f"checkpoint-{step}"
        weights = read_weights(place)
        (place / "model.safetensors").unlink()
        if how:
            transformers.GPTNeoXForCausalLM.from_pretrained(
                None, config=transformers.AutoConfig.from_pretrained(place), state_dict=weights
            ).save_pretrained(place, **how)
            assert len(weight_files(place)) > 1
        else:
            torch.save(weights, place / "pytorch_model.bin")
    run, whole = import_run(folder, tmp_path / "a"), import_run(trained[0], tmp_path / "b")
    for step in STEPS:
        ours, theirs = run.step_weights(step), whole.step_weights(step)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert not (run.path / "steps" / "0000000000.safetensors").is_symlink()
    assert verify_run(run.path, losses=0).problems == []


def test_the_cache_of_the_hub_is_read_by_its_refs(trained, tmp_path):
    cache = tmp_path / "models--org--tiny"
    for i, step in enumerate(STEPS):
        commit = f"{i:040x}"
        shutil.copytree(trained[0] / f"checkpoint-{step}", cache / "snapshots" / commit)
        (cache / "snapshots" / commit / "trainer_state.json").unlink()
        (cache / "refs").mkdir(exist_ok=True)
        (cache / "refs" / f"step{step}").write_text(commit)
    (cache / "refs" / "main").write_text(f"{4:040x}")
    (cache / "refs" / "step30").write_text("../../elsewhere")
    run = import_run(cache, tmp_path / "run")
    assert run.steps == list(STEPS)
    assert verify_run(run.path, losses=0).problems == []


def test_import_run_recognises_a_series(trained, tmp_path):
    run = import_run(trained[0], tmp_path / "run")
    assert run.record.source["format"] == "huggingface" and run.steps == list(STEPS)
    import_run(trained[0], tmp_path / "again", format="huggingface")
    torch.save({"a.b": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(SourceError, match=r"no config\.json with a model_type"):
        import_run(tmp_path / "other.pt", tmp_path / "no", format="huggingface")
    with pytest.raises(SourceError, match="cannot be had from the hub"):
        import_run(Path("hf://org/tiny"), tmp_path / "no")


def test_a_single_checkpoint(trained, tmp_path):
    assert import_run(trained[0] / "checkpoint-20", tmp_path / "run").steps == [20]


def test_a_copy_beside_its_checkpoints_is_left_out_and_no_step_is_assumed_in_silence(trained, tmp_path):
    source = shutil.copytree(trained[0] / "checkpoint-20", tmp_path / "model")
    (source / "trainer_state.json").unlink()
    with pytest.warns(SourceWarning, match="does not say of which step it is: it becomes step 0"):
        assert import_run(source, tmp_path / "alone").steps == [0]
    for step in (2, 10):
        shutil.copytree(trained[0] / f"checkpoint-{step}", source / f"checkpoint-{step}")
    with pytest.warns(SourceWarning, match="model itself are left out: its folders are the checkpoints"):
        assert import_run(source, tmp_path / "run").steps == [2, 10]


def test_files_are_linked_by_their_content(trained, tmp_path):
    place = shutil.copytree(trained[0] / "checkpoint-2", tmp_path / "s" / "checkpoint-2")
    torch.save(read_weights(trained[0] / "checkpoint-2"), place / "model.safetensors")
    run = import_run(tmp_path / "s", tmp_path / "run")
    assert not (run.path / "steps" / "0000000002.safetensors").is_symlink()
    assert run.weights("gpt_neox.embed_in.weight").shape == (1, 40, 16)


@pytest.mark.slow
def test_memory_does_not_grow_over_models(trained, tmp_path):
    run = import_run(trained[0], tmp_path / "run")
    process, sizes = psutil.Process(), []
    for i in range(40):
        run.model(STEPS[i % 5])
        if i in (9, 39):
            gc.collect()
            sizes.append(process.memory_info().rss)
    assert sizes[1] - sizes[0] < 20e6  # thirty kept models with their modules would be more than that


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("embed_out.weight"), "does not fit its config.json: .* is missing"),
        (lambda w: w.update(more=torch.zeros(1)), "more is unknown to the model"),
        (lambda w: w.update({"embed_out.weight": torch.zeros(2, 16)}), "has another shape"),
    ],
)
def test_weights_that_do_not_fit_are_refused_not_drawn_at_random(trained, change, message):
    weights = read_weights(trained[0] / "checkpoint-0")
    change(weights)
    with pytest.raises(ValueError, match=message):
        bridge(trained[0] / "checkpoint-0", weights, "Step 0")


def test_architectures_that_are_unknown_or_no_language_models(trained, tmp_path):
    for name, message in (("my_own", "does not know"), ("vit", "no causal language model")):
        (tmp_path / "config.json").write_text(
            json.dumps({"model_type": name, "auto_map": {"AutoModel": "evil.Net"}})
        )
        with pytest.raises(ValueError, match=message):
            bridge(tmp_path, {}, "here")


def test_errors_leave_nothing_behind(trained, tmp_path):
    folder = copied(trained, tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="holds no run and no checkpoints: neither"):
        import_run(tmp_path / "empty", tmp_path / "run")
    shutil.copytree(folder / "checkpoint-2", folder / "step-2")
    with pytest.raises(SourceError, match="both say that they are of step 2"):
        import_run(folder, tmp_path / "run")
    shutil.rmtree(folder / "step-2")
    file = folder / "checkpoint-10" / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-50])
    with pytest.raises(SourceError, match=r"checkpoint-10.* is damaged or truncated"):
        import_run(folder, tmp_path / "run")
    file.write_bytes(whole)
    config = folder / "checkpoint-10" / "config.json"
    config.write_text(config.read_text().replace('"num_attention_heads": 2', '"num_attention_heads": 4'))
    with pytest.raises(SourceError, match=r"another network .* num_attention_heads is 4 instead of 2"):
        import_run(folder, tmp_path / "run")
    assert {p.name for p in tmp_path.iterdir()} == {"series", "empty"}


def test_names_without_a_step(trained, tmp_path):
    for name in ("best", "worst"):
        shutil.copytree(trained[0] / "checkpoint-2", tmp_path / "s" / name)
        (tmp_path / "s" / name / "trainer_state.json").unlink()
    with pytest.raises(SourceError, match="none of which says its step: best, worst"):
        find_series(tmp_path / "s")
    assert find_series(tmp_path / "s" / "best" / "config.json") is None


def test_shards_that_lead_elsewhere(trained, tmp_path):
    place = shutil.copytree(trained[0] / "checkpoint-2", tmp_path / "series" / "checkpoint-2")
    (place / "model.safetensors").rename(tmp_path / "outside.safetensors")
    index = place / "model.safetensors.index.json"
    for name in ("../../outside.safetensors", str(tmp_path / "outside.safetensors"), "gone.safetensors"):
        index.write_text(json.dumps({"weight_map": {"a": name}}))
        with pytest.raises(SourceError, match="which is not a file in its folder"):
            read_weights(place)
    index.write_text("[]")
    with pytest.raises(SourceError, match="is no index of shards"):
        read_weights(place)


def test_the_hub_without_a_network_says_so():
    with pytest.raises(SourceError, match=r"org/tiny cannot be had from the hub: .* name a folder on disk"):
        download("hf://org/tiny")
    assert is_hub_name("hf://org/tiny@step0") and not is_hub_name("org/tiny")


def test_revisions_are_downloaded_into_one_cache(trained, tmp_path, monkeypatch):
    import huggingface_hub

    asked, cache = [], tmp_path / "models--org--tiny"

    def snapshot_download(repository, *, revision, allow_patterns, cache_dir):
        asked.append((repository, revision))
        step = int(revision.removeprefix("step"))
        place = cache / "snapshots" / f"{step:040x}"
        shutil.copytree(trained[0] / f"checkpoint-{step}", place)
        (cache / "refs").mkdir(exist_ok=True)
        (cache / "refs" / revision).write_text(place.name)
        return str(place)

    class Refs:
        branches = [type("Ref", (), {"name": name})() for name in ("main", "step10", "step2", "step0")]  # noqa: RUF012

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.setattr(huggingface_hub, "list_repo_refs", lambda repository: Refs)
    assert download("hf://org/tiny") == cache
    assert asked == [("org/tiny", "step0"), ("org/tiny", "step2"), ("org/tiny", "step10")]
    assert import_run(cache, tmp_path / "run").steps == [0, 2, 10]
    assert download("hf://org/tiny@step20") == cache and asked[-1] == ("org/tiny", "step20")
    Refs.branches = []
    with pytest.raises(SourceError, match="no revisions named after steps"):
        download("hf://org/tiny")


def test_what_is_advised_of_a_language_model_works(trained, tmp_path):
    opened = interp.open_run(trained[0])
    with pytest.raises(
        RunError, match=r"weights apply, and induction_scores\. .*run model\(step\) on tokens of your own"
    ):
        opened.task
    assert len(measure(opened, ["induction_scores"], [20])["induction_scores"])
    assert opened.model(20)(TOKENS).shape == (3, 12, 40)
    for stated in ({"task": {"operation": "add"}}, {"model": {"n_heads": 2}}, {"unit": "epoch"}):
        with pytest.raises(
            ValueError, match=f"is a series of language models.* Leave out {next(iter(stated))}"
        ):
            interp.open_run(trained[0], **stated)
