# SPDX-License-Identifier: MIT
"""The peers: which program measures each, and what it needs to be installed."""

import functools
from dataclasses import dataclass

from suite.child import succeeds
from suite.paths import BENCH, PROGRAMS, PYTHON


@dataclass(frozen=True)
class Peer:
    """`program` is called as PROGRAM MODE [NAME] SIZE WORKERS PARAMETER."""

    name: str
    program: tuple[str, ...]
    mode: str = "{mode}"  # of the program; by default the workload's
    named: bool = False  # the program serves several peers and wants to be told which
    rate: float = 0  # tasks/s it manages, roughly: bounds its work in sweeps
    package: str = ""  # of Debian; nothing if it is there whenever bulkhead can be built
    probe: tuple[str, ...] = ()  # succeeds if the package is installed; by default, program exists

    def command(self, mode: str, size: int, workers: int, parameter: int) -> list[str]:
        program = [part.format(processes=workers + 1) for part in self.program]
        name = [self.name] if self.named else []
        numbers = [str(number) for number in (size, workers, parameter)]
        return [*program, self.mode.format(mode=mode), *name, *numbers]

    def installed(self) -> bool:
        if not self.package:
            return True
        return _there(self.probe or ("test", "-x", self.program[0]))


@functools.cache
def _there(probe: tuple[str, ...]) -> bool:
    return succeeds(probe)


def _built(program: str) -> tuple[str, ...]:
    return (str(PROGRAMS / program),)


def _script(interpreter: str, name: str, *options: str) -> tuple[str, ...]:
    return (interpreter, *options, str(BENCH / "peers" / name))


def _python(name: str, rate: float, module: str = "", package: str = "") -> Peer:
    return Peer(name, _script(PYTHON, "python_peer.py"), named=True, rate=rate, package=package,
                probe=(PYTHON, "-c", f"import {module}"))


BULKHEAD = Peer("bulkhead", _built("bulkhead_bench"), rate=50e6)
AFTER_INIT = Peer("bulkhead, init()", _built("bulkhead_bench"), mode="{mode}-after-init")

POOL = _python("multiprocessing.Pool", 10e6)
POOL_1 = _python("multiprocessing.Pool chunksize=1", 60e3)
EXECUTOR = _python("ProcessPoolExecutor", 16e3)
JOBLIB = _python("joblib", 200e3, "joblib", "python3-joblib")
JOBLIB_1 = _python("joblib batch_size=1", 5e3, "joblib", "python3-joblib")
MPI = Peer(
    "mpi4py.futures",
    ("mpiexec", "-n", "{processes}", "--oversubscribe", "--allow-run-as-root", PYTHON, "-m",
     "mpi4py.futures", str(BENCH / "peers" / "python_peer.py")),
    named=True, rate=5e3, package="python3-mpi4py",
    probe=("mpiexec", "-n", "1", "--allow-run-as-root", PYTHON, "-c", "import mpi4py.futures"),
)

MCE_PROBE = ("perl", "-MMCE::Map", "-e", "1")
MCE = Peer("Perl MCE", _script("perl", "mce_peer.pl"), named=True, rate=3e6,
           package="libmce-perl", probe=MCE_PROBE)
MCE_1 = Peer("Perl MCE chunk_size=1", _script("perl", "mce_peer.pl"), named=True, rate=30e3,
             package="libmce-perl", probe=MCE_PROBE)

R_PROBE = ("Rscript", "--vanilla", "-e", "library(parallel)")
MCLAPPLY = Peer("R mclapply", _script("Rscript", "r_peer.R", "--vanilla"), named=True, rate=1e6,
                package="r-base-core", probe=R_PROBE)
MCLAPPLY_1 = Peer("R mclapply mc.preschedule=FALSE",
                  _script("Rscript", "r_peer.R", "--vanilla"), named=True, rate=150,
                  package="r-base-core", probe=R_PROBE)

GNU_PARALLEL = Peer(
    "GNU parallel", (*_script(PYTHON, "gnu_parallel_peer.py"), str(PROGRAMS / "bench_task")),
    named=True, rate=100, package="parallel",
    probe=("sh", "-c", "parallel --version | grep -q GNU"),  # moreutils has another one
)

TBB = Peer("oneTBB", _built("bench_tbb"), rate=50e6, package="libtbb-dev")
THREADS = Peer("std::thread pool", _built("bench_threads"), rate=3e6)

ARRAYS = Peer("bulkhead", _built("bench_arrays"))
ARRAYS_THREADS = Peer("threads", _built("bench_arrays_threads"))
WORDS = Peer("bulkhead", _built("bench_words"))
WORDS_WHOLE = Peer("bulkhead, no commits", _built("bench_words"), mode="{mode}-whole")
WORDS_BUDGETS = [
    Peer(f"bulkhead, {mib} MiB", _built("bench_words"), mode=f"{{mode}}-in-{mib}")
    for mib in (64, 128, 256, 512, 1024)
]
WORDS_THREADS = Peer("threads", _built("bench_words_threads"))
WORDS_THREADS_TINY = Peer("threads, tiny keys", _built("bench_words_threads"), mode="{mode}-tiny")
INDEX = Peer("bulkhead", _built("bench_index"))
INDEX_THREADS = Peer("threads", _built("bench_index_threads"))
INDEX_POOL = Peer("multiprocessing", (*_script(PYTHON, "index_peer.py"), str(PROGRAMS)))


def _counts_words(name: str, package: str = "", probe: tuple[str, ...] = ()) -> Peer:
    program = (*_script(PYTHON, "words_peer.py"), str(PROGRAMS))
    return Peer(name, program, named=True, package=package, probe=probe)


WORDS_POOL = _counts_words("multiprocessing, Counter")
WORDS_DASK = _counts_words("dask.bag", "python3-dask", (PYTHON, "-c", "import dask.bag"))
WORDS_MAWK = _counts_words("mawk", "mawk", ("sh", "-c", "command -v mawk"))
WORDS_SORT = _counts_words("sort | uniq -c")
WORDS_DUCKDB = Peer(
    "DuckDB", (*_script("node", "words_duckdb.mjs"), str(PROGRAMS)),
    package="nodejs, and its package @duckdb/node-api",
    probe=("node", "-e", "require('@duckdb/node-api')"),
)

FUTEX = Peer("futex", _built("bench_ping_pong"), mode="futex")
FUTEX_TWO_CORES = Peer("futex, two cores", _built("bench_ping_pong"), mode="futex-two-cores")
PIPE = Peer("pipe", _built("bench_ping_pong"), mode="pipe")
MESSAGE_QUEUE = Peer("boost message_queue", _built("bench_message_queue"), package="libboost-dev")
MEMCPY = Peer("memcpy", _built("bench_ring_copy"))
RING = Peer("bare ring", _built("bench_ring_copy"))
FORK = Peer("fork", _built("bench_fork"))
DEATH = Peer("kill and wait", _built("bench_fork"), mode="death")

CODEC = Peer("bulkhead", _built("bench_struct"), mode="bulkhead-{mode}")
CEREAL = Peer("cereal, a stream each", _built("bench_struct"), mode="cereal-{mode}")
CEREAL_ONE = Peer("cereal, one stream", _built("bench_struct"), mode="cereal-one-stream-{mode}")

COMPILED = Peer("bulkhead", _script(PYTHON, "compile_peer.py"), named=True)
ASYNC = Peer("std::async", _script(PYTHON, "compile_peer.py"), named=True)
