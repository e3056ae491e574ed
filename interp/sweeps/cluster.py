"""The workers of a sweep on a cluster: Slurm through submitit's job arrays, or Dask. Its folder is on a shared disk.

Both are extras: `pip install grokscope[slurm]`, `grokscope[dask]`.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from interp.runs.tensor_files import RunError
from interp.sweeps.units import Unit
from interp.sweeps.workers import carried_out, in_worker
from interp.sweeps.working import Done, Work

SECONDS_BETWEEN_LOOKS = 2.0
# To reach a scheduler.
SECONDS_TO_CONNECT = 15
# For workers that were asked to stop; those that have not come back then are not waited for.
SECONDS_TO_SAVE = 60


@dataclass(frozen=True)
class Slurm:
    """Each unit a task of a Slurm job array.

    Attributes:
        minutes: time limit of a task; one that is cut off there goes on in another from its last saved state.
        partition, account: of the cluster; None: its defaults.
        cpus: of a task.
        memory_gb: of a task; None: the cluster's default.
        at_once: tasks of the array that may run at a time.
        options: further options of sbatch by name, as {"constraint": "icelake"}.
        cluster: "local" runs the tasks as processes of this machine, by the same code.
    """

    minutes: int = 240
    partition: str | None = None
    account: str | None = None
    cpus: int = 1
    memory_gb: float | None = None
    at_once: int = 256
    options: Mapping[str, Any] = field(default_factory=dict)
    cluster: Literal["slurm", "local"] = "slurm"

    def __call__(self, units: Sequence[Unit], work: Work) -> Iterator[list[Done]]:
        """Train all units (`interp.sweeps.workers.carried_out`).

        Raises:
            ValueError: if submitit is not installed, or there is no Slurm on this machine.
        """
        submitit = _imported("submitit", "slurm")

        def one_round(
            left: list[Unit], work: Work, stop_requested: Callable[[], bool]
        ) -> Iterator[tuple[str, list[Done]]]:
            yield from _of_jobs(self._submitted(submitit, left, work), stop_requested, submitit.core.utils)

        yield from carried_out(units, work, one_round)

    def _submitted(self, submitit: Any, units: list[Unit], work: Work) -> list[Any]:
        try:
            executor = submitit.AutoExecutor(folder=work.folder / "jobs", cluster=self.cluster)
        except RuntimeError as error:
            raise ValueError(
                f"--slurm needs a machine from which Slurm jobs can be submitted, and this is none: {error}. Run it on "
                "a login node."
            ) from error
        asked: dict[str, Any] = {
            "timeout_min": self.minutes,
            "cpus_per_task": self.cpus,
            "name": work.folder.name if work.store is None else work.store.name,
        }
        if self.memory_gb is not None:
            asked["mem_gb"] = self.memory_gb
        if self.cluster == "slurm":
            asked |= {
                "slurm_partition": self.partition,
                "slurm_account": self.account,
                "slurm_array_parallelism": self.at_once,
                "slurm_additional_parameters": dict(self.options),
            }
        executor.update_parameters(**{name: x for name, x in asked.items() if x not in (None, {})})
        return executor.map_array(_Task(), units, [work] * len(units))


class _Task:
    """What a job does; asked by the cluster to end before its time limit, it is queued again."""

    def __call__(self, unit: Unit, work: Work) -> tuple[str, list[Done]]:
        return in_worker(unit, work)

    def checkpoint(self, unit: Unit, work: Work) -> Any:
        import submitit

        return submitit.helpers.DelayedSubmission(self, unit, work)


def _of_jobs(
    jobs: list[Any], stop_requested: Callable[[], bool], errors: Any
) -> Iterator[tuple[str, list[Done]]]:
    """What came back of jobs, as it comes; after a stop those that have not started are taken back."""
    while jobs:
        for job in [job for job in jobs if job.done()]:
            jobs.remove(job)
            try:
                yield job.result()
            except errors.FailedJobError as error:
                raise RunError(
                    f"A task of the sweep failed on its node, and so would others: {error}"
                ) from error
            except errors.UncompletedJobError:
                # It was killed, or taken back, and leaves no result.
                continue
        if stop_requested():
            for job in [job for job in jobs if job.state in ("PENDING", "REQUEUED")]:
                job.cancel()
                jobs.remove(job)
        if jobs:
            time.sleep(SECONDS_BETWEEN_LOOKS)


@dataclass(frozen=True)
class Dask:
    """The workers of a Dask cluster. A process trains one unit at a time: start workers with one thread each.

    Attributes:
        address: of the scheduler, "tcp://host:8786".
    """

    address: str

    def __call__(self, units: Sequence[Unit], work: Work) -> Iterator[list[Done]]:
        """Train all units (`interp.sweeps.workers.carried_out`).

        Raises:
            ValueError: if distributed is not installed.
            RunError: if the scheduler does not answer, or no longer does.
        """
        distributed = _imported("distributed", "dask")
        # It logs a traceback of every connection that breaks; what is to be said of it is said here.
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
        try:
            client = distributed.Client(self.address, timeout=SECONDS_TO_CONNECT, set_as_default=False)
        except (OSError, ValueError) as error:
            raise RunError(
                f"--dask: there is no scheduler at {self.address} ({error}). Start one with `dask scheduler`, or name "
                "its address."
            ) from error

        def one_round(
            left: list[Unit], work: Work, stop_requested: Callable[[], bool]
        ) -> Iterator[tuple[str, list[Done]]]:
            # Each is asked for once and never taken for the same as another.
            futures = client.map(_one_at_a_time, left, [work] * len(left), pure=False)
            yield from self._of_futures(client, futures, stop_requested, distributed.KilledWorker)

        try:
            yield from carried_out(units, work, one_round)
        finally:
            with suppress(OSError, TimeoutError):
                client.close(timeout=5)

    def _of_futures(
        self, client: Any, futures: list[Any], stop_requested: Callable[[], bool], killed: type[Exception]
    ) -> Iterator[tuple[str, list[Done]]]:
        """What came back, as it comes. Looked at in turns: to be told of each would never end without a worker."""
        connected = time.monotonic()
        stopped_at: float | None = None
        while futures:
            for future in [future for future in futures if future.done()]:
                futures.remove(future)
                if future.status == "cancelled":
                    raise self._gone()
                with suppress(killed):
                    yield future.result()
            if client.status == "running":
                connected = time.monotonic()
            elif time.monotonic() - connected > SECONDS_TO_CONNECT:
                raise self._gone()
            if stop_requested():
                stopped_at = stopped_at or time.monotonic()
                if time.monotonic() - stopped_at > SECONDS_TO_SAVE:
                    client.cancel(futures)
                    return
            time.sleep(0.1)

    def _gone(self) -> RunError:
        return RunError(
            f"The scheduler at {self.address} is gone. What was saved is kept: the same command goes on when it is "
            "back."
        )


# The threads of a worker share torch's settings.
_one = threading.Lock()


def _one_at_a_time(unit: Unit, work: Work) -> tuple[str, list[Done]]:
    with _one:
        return in_worker(unit, work)


def _imported(module: str, extra: str) -> Any:
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError as error:
        raise ValueError(
            f"--{extra} needs {module}, which is not installed: pip install 'grokscope[{extra}]'."
        ) from error
