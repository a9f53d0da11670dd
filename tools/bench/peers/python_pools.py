# SPDX-License-Identifier: MIT
"""The process pools of Python behind one interface: map, apply, and an end by `with`.

Those of the standard library fork their workers, as bulkhead does.
"""

import multiprocessing
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

STREAM_CHUNK = 1024  # imap has no rule of its own: its default is 1

FORK = multiprocessing.get_context("fork")


class MultiprocessingPool:
    """multiprocessing.Pool; without a chunksize it forms four chunks per worker."""

    def __init__(self, workers: int, chunksize: int | None = None) -> None:
        self._pool = FORK.Pool(workers)
        self._chunksize = chunksize

    def map(self, function: Callable, inputs: Sequence) -> list:
        return self._pool.map(function, inputs, self._chunksize)

    def imap(self, function: Callable, inputs: Iterable) -> Iterable:
        return self._pool.imap(function, inputs, self._chunksize or STREAM_CHUNK)

    def apply(self, function: Callable, *arguments: Any) -> Any:
        return self._pool.apply(function, arguments)

    def apply_within(self, seconds: float, function: Callable, *arguments: Any) -> Any:
        return self._pool.apply_async(function, arguments).get(seconds)

    def __enter__(self) -> "MultiprocessingPool":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.terminate()
        self._pool.join()


class OneByOnePool(MultiprocessingPool):
    """multiprocessing.Pool that sends each element by itself."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers, chunksize=1)


class Executor:
    """ProcessPoolExecutor with its default of one element per message."""

    def __init__(self, workers: int) -> None:
        self._executor = self.make(workers)

    @staticmethod
    def make(workers: int) -> Any:
        return ProcessPoolExecutor(workers, mp_context=FORK)

    def map(self, function: Callable, inputs: Sequence) -> list:
        return list(self._executor.map(function, inputs))

    def apply(self, function: Callable, *arguments: Any) -> Any:
        return self._executor.submit(function, *arguments).result()

    def apply_within(self, seconds: float, function: Callable, *arguments: Any) -> Any:
        return self._executor.submit(function, *arguments).result(seconds)

    def __enter__(self) -> "Executor":
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown(wait=True)


class MpiExecutor(Executor):
    """mpi4py.futures; its workers are the other processes that mpiexec has started."""

    @staticmethod
    def make(workers: int) -> Any:
        from mpi4py.futures import MPIPoolExecutor
        return MPIPoolExecutor(workers)


class Joblib:
    """joblib's default, which is loky with batches that adapt to the durations of tasks."""

    batch_size: str | int = "auto"
    least_workers = 2  # one is this process itself

    def __init__(self, workers: int) -> None:
        import joblib
        self._parallel = joblib.Parallel(n_jobs=workers, batch_size=self.batch_size)
        self._delayed = joblib.delayed

    def map(self, function: Callable, inputs: Sequence) -> list:
        return self._parallel(self._delayed(function)(x) for x in inputs)

    def apply(self, function: Callable, *arguments: Any) -> Any:
        return self._parallel([self._delayed(function)(*arguments)])[0]

    def apply_within(self, seconds: float, function: Callable, *arguments: Any) -> Any:
        self._parallel.timeout = seconds
        return self.apply(function, *arguments)

    def __enter__(self) -> "Joblib":
        self._parallel.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._parallel.__exit__(None, None, None)


class JoblibOneByOne(Joblib):
    """joblib that sends each element by itself."""

    batch_size = 1


POOLS: dict[str, Callable[[int], Any]] = {
    "multiprocessing.Pool": MultiprocessingPool,
    "multiprocessing.Pool chunksize=1": OneByOnePool,
    "ProcessPoolExecutor": Executor,
    "joblib": Joblib,
    "joblib batch_size=1": JoblibOneByOne,
    "mpi4py.futures": MpiExecutor,
}
