"""The long run: deterministic, interruptible, resumable bit for bit.

One loop for every task, model and optimizer of a `RunConfig`. What a step does depends only on the weights, the
optimizer's state and the step's number (mini-batch orders are drawn from (batch_seed, epoch)), so a run continued from
any saved state equals a run that was never stopped: same device, same thread count, same torch.
"""

import math
import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from interp import runs
from interp.architecture import Weights, initial_weights
from interp.durable import remove_leftovers
from interp.forward import answer_logits, path_for
from interp.progress import bar
from interp.provenance import commit, now, versions
from interp.run_config import OptimizerConfig, RunConfig
from interp.runs import Run
from interp.tasks.modular import Task, modular_task
from interp.tensor_files import RunError

SECONDS_BETWEEN_STATES = 30.0


def train(
    config: RunConfig, path: str | os.PathLike, *, device: str = "cpu", threads: int | None = None
) -> Run:
    """Train a run from its initialization to its last step, saving what its schedule says.

    Ctrl-C (or SIGTERM) finishes the step, saves, and raises KeyboardInterrupt; `resume` continues.

    Args:
        path: a new or empty directory.
        device: "cpu", "cuda" or "mps"; recorded. Weights are initialized on the CPU in any case.
        threads: CPU threads; recorded, since results are bit-for-bit equal for an equal number only. Default: torch's.

    Raises:
        ValueError: if the config lacks a part that training needs, or the device is not there.
        RunError: if the directory holds something, or another trainer works on it.
        FloatingPointError: if the loss is no longer finite; everything before is saved.
    """
    task_config, model_config = config.task, config.model
    lacking = [name for name, value in vars(config).items() if value is None]
    if lacking:
        raise ValueError(
            f"Training needs a whole config, this one has no {', '.join(lacking)}. Configs of imported runs may lack "
            "some: start from another one, as interp.presets.mainline()."
        )
    check_device(device)
    runs.check_unused(Path(path).expanduser().resolve())  # before the lock makes a file there
    assert task_config and model_config and config.seed is not None
    task = modular_task(task_config)
    with _lock(Path(path)):
        run = runs.create_run(
            Path(path),
            config,
            {
                "status": "running",
                "unit": "step",
                "created": now(),
                "forward_path": path_for(model_config),
                "sessions": [],
            },
            task,
        )
        return _continue(run, 0, initial_weights(model_config, config.seed), None, device, threads)


def resume(path: str | os.PathLike, *, device: str | None = None, threads: int | None = None) -> Run:
    """Continue an interrupted or killed run from its latest saved state.

    With the device and thread count of the first session (the default) the result equals that of a run that was never
    stopped, bit for bit.

    Raises:
        RunError: if the directory is not a run, is complete, was not trained here, another trainer works on it, or its
            resume state or history is damaged.
    """
    with _lock(runs.open_run(path).path):
        run = runs.open_run(path)  # again: another trainer may have ended just before the lock was free
        if run.record["status"] == "complete":
            raise RunError(f"Run {run.name!r} is complete: its {run.config.n_steps} steps are done.")
        if not run.record.get("sessions") and run.record["status"] != "running":
            raise RunError(
                f"Run {run.name!r} was not trained by grokscope and cannot be continued: {run.record['status']}."
            )
        remove_leftovers(run.path)
        first: dict[str, Any] = run.record["sessions"][0] if run.record["sessions"] else {}
        device = device or first.get("device", "cpu")
        threads = threads or first.get("threads")
        check_device(device)
        latest = runs.read_latest(run)
        if latest is None:
            assert run.config.model and run.config.seed is not None
            return _continue(
                run, 0, initial_weights(run.config.model, run.config.seed), None, device, threads
            )
        return _continue(run, latest.step, latest.weights, latest.optimizer, device, threads)


def check_device(device: str) -> None:
    """Nothing, if the device is there.

    Raises:
        ValueError: if it is not, or is unknown.
    """
    there = ["cpu"]
    if torch.cuda.is_available():
        there += ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        there.append("mps")
    if device not in there:
        raise ValueError(
            f"Device {device!r} is not there: this machine has {', '.join(there)}. Use --device cpu."
        )


class _Optimizer:
    """torch's optimizer on a dict of weights, its state by parameter name."""

    def __init__(self, config: OptimizerConfig, weights: Weights, state: Weights | None):
        self.config, self.weights = config, weights
        parameters = list(weights.values())
        if config.name == "sgd":
            self.torch: torch.optim.Optimizer = torch.optim.SGD(
                parameters, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
            )
        else:
            kind = torch.optim.AdamW if config.name == "adamw" else torch.optim.Adam
            self.torch = kind(
                parameters,
                lr=config.lr,
                betas=config.betas,
                eps=config.eps,
                weight_decay=config.weight_decay,
                fused=parameters[0].device.type in ("cpu", "cuda"),
            )
        for key, tensor in (state or {}).items():
            kind_of_state, name = key.split("/", 1)
            # Adam's step count lives on the CPU or the device depending on `fused`; it is where the weights are here.
            self.torch.state[weights[name]][kind_of_state] = tensor.to(weights[name].device)

    def step(self, step: int) -> None:
        warmup = self.config.warmup_steps
        for group in self.torch.param_groups:
            group["lr"] = self.config.lr * (min(step / warmup, 1.0) if warmup else 1.0)
        self.torch.step()
        self.torch.zero_grad(set_to_none=True)

    def state(self) -> Weights:
        return {
            f"{key}/{name}": value.clone()
            for name, weight in self.weights.items()
            for key, value in self.torch.state[weight].items()
            if isinstance(value, Tensor)
        }


class _Data:
    """The task on a device, with the functions that turn weights into loss and accuracy."""

    def __init__(self, task: Task, config: RunConfig, device: str):
        assert config.model and config.optimizer
        is_train = task.split
        self.dtype = getattr(torch, config.optimizer.loss_dtype)
        self.model = config.model
        self.batch_size, self.batch_seed = config.optimizer.batch_size, config.optimizer.batch_seed
        self.train_tokens, self.train_labels = (
            task.tokens[is_train].to(device),
            task.labels[is_train].to(device),
        )
        self.train_logits = answer_logits(config.model, self.train_tokens)
        self.test_labels = task.labels[~is_train].to(device)
        self.test_logits = answer_logits(config.model, task.tokens[~is_train].to(device))
        self._epoch, self._order = -1, torch.empty(0)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return torch.nn.functional.cross_entropy(logits.to(self.dtype), labels)

    def batch(self, step: int) -> tuple[Callable[[Weights], Tensor], Tensor]:
        """Logits function and labels of the rows of this step."""
        n = len(self.train_labels)
        if self.batch_size is None or self.batch_size >= n:
            return self.train_logits, self.train_labels
        per_epoch = math.ceil(n / self.batch_size)
        epoch, i = divmod(step, per_epoch)
        if epoch != self._epoch:
            order = np.random.default_rng([self.batch_seed, epoch]).permutation(n)
            self._epoch, self._order = epoch, torch.from_numpy(order).to(self.train_labels.device)
        rows = self._order[i * self.batch_size : (i + 1) * self.batch_size]
        return answer_logits(self.model, self.train_tokens[rows]), self.train_labels[rows]

    @torch.no_grad()
    def evaluate(self, weights: Weights, full_batch_logits: Tensor | None = None) -> dict[str, float]:
        """Loss (float64) and accuracy on train and test rows; logits of all train rows are not computed twice."""
        train_logits = self.train_logits(weights) if full_batch_logits is None else full_batch_logits
        out = {}
        for split, logits, labels in (
            ("train", train_logits, self.train_labels),
            ("test", self.test_logits(weights), self.test_labels),
        ):
            loss_dtype = torch.float64 if logits.device.type != "mps" else torch.float32
            out[f"{split}_loss"] = torch.nn.functional.cross_entropy(logits.to(loss_dtype), labels).item()
            out[f"{split}_accuracy"] = (logits.argmax(-1) == labels).double().mean().item()
        return out


class _Stop(Exception):
    """Ctrl-C or SIGTERM, seen at the end of a step."""


def _continue(
    run: Run, step: int, weights: Weights, optimizer_state: Weights | None, device: str, threads: int | None
) -> Run:
    config = run.config
    assert config.optimizer and config.schedule and config.n_steps is not None
    assert config.evaluation_interval is not None
    history = _history_before(run, step)
    with _deterministic(device, threads or torch.get_num_threads()):
        session = _session(step, device)
        runs.update_record(run, status="running", sessions=[*run.record.get("sessions", []), session])
        live = {name: w.to(device, copy=True).requires_grad_() for name, w in weights.items()}
        optimizer = _Optimizer(config.optimizer, live, optimizer_state)
        data = _Data(run.task, config, device)
        status = "failed"
        try:
            with _signals() as stop_requested:
                step = _loop(run, step, live, optimizer, data, history, stop_requested)
            status = "complete"
        except _Stop as stop:
            status = "interrupted"
            raise KeyboardInterrupt(
                f"Stopped at step {stop.args[0]} of {config.n_steps}; everything is saved. "
                f"Continue with: interp resume {run.path}"
            ) from None
        except FloatingPointError:
            status = "diverged"
            raise
        finally:
            runs.update_record(run, status=status)
        runs.remove_latest(run)
    return runs.open_run(run.path)


def _loop(
    run: Run,
    step: int,
    weights: Weights,
    optimizer: _Optimizer,
    data: _Data,
    history: list[dict[str, Any]],
    stop_requested: Callable[[], bool],
) -> int:
    config = run.config
    assert config.schedule and config.n_steps is not None and config.evaluation_interval is not None
    saved, with_optimizer = set(config.schedule.steps), set(config.schedule.optimizer_steps)
    state_saved_at = shown_at = time.monotonic()
    first_step, started = step, time.monotonic()

    def save_state() -> None:
        # The history first: resume drops rows beyond the state, but could not invent missing ones.
        runs.save_history(run, pd.DataFrame(history))
        runs.save_latest(run, step, _detached(weights), optimizer.state())

    with bar("loss", "accuracy", "speed") as display:
        shown = display.add_task(
            run.name, total=config.n_steps, completed=step, loss="", accuracy="", speed=""
        )
        while True:
            if step in saved:
                state = optimizer.state() if step in with_optimizer else None
                runs.save_checkpoint(run, step, _detached(weights), state)
            if step == config.n_steps:
                break
            logits_of, labels = data.batch(step)
            logits = logits_of(weights)
            loss = data.loss(logits, labels)
            loss.backward()
            row: dict[str, Any] = {"step": step, "train_loss": loss.item()}
            if step % config.evaluation_interval == 0:
                row |= data.evaluate(weights, logits.detach() if labels is data.train_labels else None)
                _show_metrics(display, shown, row)
            if not math.isfinite(row["train_loss"]):
                save_state()
                raise _diverged(run, row)
            history.append(row)
            optimizer.step(step)
            step += 1

            now = time.monotonic()
            if now - shown_at > 0.2:
                shown_at = now
                speed = f"{(step - first_step) / (now - started):.1f} steps/s"
                display.update(shown, completed=step, speed=speed)
            stop = stop_requested()
            if stop or now - state_saved_at > SECONDS_BETWEEN_STATES:
                save_state()
                state_saved_at = now
            if stop:
                raise _Stop(step)
        display.update(shown, completed=step)
    row = {"step": step, **data.evaluate(weights)}
    history.append(row)
    runs.save_history(run, pd.DataFrame(history))
    if not math.isfinite(row["train_loss"]):
        raise _diverged(run, row)
    return step


def _diverged(run: Run, row: Mapping[str, Any]) -> FloatingPointError:
    is_float32 = run.config.optimizer is not None and run.config.optimizer.loss_dtype == "float32"
    return FloatingPointError(
        f"The loss of run {run.name!r} is {row['train_loss']} at step {row['step']}. Everything before is saved. "
        f"Lower the learning rate{', or train with loss_dtype float64' if is_float32 else ''}."
    )


def _show_metrics(display: Any, shown: Any, row: Mapping[str, Any]) -> None:
    display.update(
        shown,
        loss=f"loss train {row['train_loss']:.2e} test {row['test_loss']:.2e}",
        accuracy=f"acc {row['train_accuracy']:.3f} / {row['test_accuracy']:.3f}",
    )


def _detached(weights: Weights) -> Weights:
    return {name: w.detach() for name, w in weights.items()}


def _history_before(run: Run, step: int) -> list[dict[str, Any]]:
    """The rows before a step, all of them: resume could not invent those that are missing.

    Raises:
        RunError: if some are missing.
    """
    table = run.history()
    before = table[table["step"] < step]
    if before["step"].tolist() != list(range(step)):
        raise RunError(
            f"{run.path / 'history.parquet'} needs a row for each of the {step} steps before the one that resume would "
            f"continue from, and has {before['step'].nunique()}. Restore it from a copy, or delete latest.safetensors "
            "beside it: the run is then trained again from step 0, with the same result."
        )
    return before.to_dict("records")  # type: ignore[return-value]


def _session(step: int, device: str) -> dict[str, Any]:
    """Where and with what this stretch of training runs."""
    return {
        "from_step": step,
        "started": now(),
        "device": device,
        "device_name": torch.cuda.get_device_name(device)
        if device.startswith("cuda")
        else platform.machine(),
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "platform": platform.platform(),
        "versions": versions(),
        "commit": commit(),
    }


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    path = path.expanduser().resolve()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"A new run needs a directory, and {path} cannot be made: {error.strerror}."
        ) from error
    lock = filelock.FileLock(path / "lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise RunError(
            f"Another trainer is working on {path}. Wait for it, stop it, or name another directory."
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _signals() -> Iterator[Callable[[], bool]]:
    """A function that says whether Ctrl-C or SIGTERM came, so that a step is never cut in half."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    former = {
        number: signal.signal(number, lambda number, _: caught.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield lambda: bool(caught)
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextmanager
def _deterministic(device: str, threads: int) -> Iterator[None]:
    former_threads, former_mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    memory: Any = torch.utils.deterministic  # a module whose attribute is made when it is imported
    fill = memory.fill_uninitialized_memory
    if device.startswith("cuda"):
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    # As torch.use_deterministic_algorithms(True), which loads the compiler first: two seconds for nothing here.
    torch.set_deterministic_debug_mode("error")
    memory.fill_uninitialized_memory = False  # no value here is read before it is written
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(former_mode)
        memory.fill_uninitialized_memory = fill
        torch.set_num_threads(former_threads)
