"""Executors by name, as the command line's ``--engine``, ``--workers`` and ``--address`` ask for them."""

from __future__ import annotations

from maieutic.errors import UsageError, did_you_mean
from maieutic.executors.base import Executor

ENGINES = ("in-process", "processes", "ray")


def open_executor(
    engine: str = "in-process",
    *,
    workers: int | None = None,
    threads: int = 1,
    address: str | None = None,
    gpus: float = 0.0,
) -> Executor:
    """An executor, to be used as a context manager. Workers start with the first run.

    Args:
        engine: ``in-process``, ``processes`` (this machine) or ``ray`` (a cluster, or Ray started on this machine).
        workers: how many processes; by default one a core, with ``ray`` one a core of the cluster, or as many as its GPUs
            serve. ``in-process`` has one.
        threads: how many jobs at once in each.
        address: of a Ray cluster: ``auto`` for the one of which this machine is part, or its head's ``host:6379``. Without it
            ``ray`` starts one here, which ends with the executor.
        gpus: of each worker, with ``ray``; fractions share one.

    Raises:
        UsageError: an unknown engine, or an option that it does not have.
        MissingExtraError: ``ray`` is not installed.
        UserError: no cluster answers at the address.
    """
    if engine not in ENGINES:
        raise UsageError(f"no engine {engine!r}{did_you_mean(engine, ENGINES)}: choose from {', '.join(ENGINES)}")
    if threads < 1 or (workers is not None and workers < 1):
        raise UsageError("workers and threads are at least 1")
    if engine != "ray" and (address is not None or gpus):
        raise UsageError(f"the engine {engine} has no address and hands out no GPUs: use --engine ray")
    if engine == "in-process":
        if workers is not None and workers > 1:
            raise UsageError("the engine in-process has one worker: use --engine processes")
        from maieutic.executors.in_process import InProcess

        return InProcess(threads=threads)
    if engine == "processes":
        from maieutic.executors.processes import cores, open_processes

        return open_processes(workers=workers or cores(), threads=threads)
    from maieutic.executors.ray_cluster import open_ray

    return open_ray(workers=workers, threads=threads, address=address, gpus=gpus)
