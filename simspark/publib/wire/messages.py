"""Every message that travels, grouped by who sends it to whom.

A message is a named tuple of plain values; its tag in ``REGISTRY`` is append-only: never reuse or renumber one, add
fields only at the end and with a default. Hellos open a session and carry what its other side must know at once.
Bytes fields named ``payload``, ``program``, ``split``, ``accumulated`` or ``pickled`` are opaque to everyone but
executors and the driver. Exactly one place handles each message, which a test checks.

Units are in the names; ids are text, but for tasks, jobs, stages, shuffles and RDDs, which are counted by the driver.
"""

from __future__ import annotations

from simspark.publib.named_tuple import NamedTuple

WIRE_VERSION = 1


# ── what messages are made of ────────────────────────────────────────────────────────────────────────────────────


class HeldExecutor(NamedTuple):
    """An executor that a worker still runs when it registers."""

    executor: str
    application: str
    cores: int
    memory_bytes: int


class ExecutorSpec(NamedTuple):
    """All that a worker needs to start one executor. The secret goes to the executor by inheritance only."""

    executor: str
    application: str
    cores: int
    memory_bytes: int
    driver_endpoint: str
    driver_key: str
    executor_public: str
    executor_secret: bytes
    nonce: bytes
    driver_socket: str = ""  # a second way to the driver, for executors on its machine


class ExecutorExit(NamedTuple):
    """How an executor ended: exit status (-1 when a signal did it), signal (0 for none), and what it left to read."""

    executor: str
    status: int
    signal: int
    peak_memory_bytes: int
    text: str


class Grant(NamedTuple):
    """One executor that the master has asked a worker to start."""

    executor: str
    worker: str
    incarnation: int
    worker_key: str
    host: str


class WorkerState(NamedTuple):
    """How the master sees a worker: "alive", "late" or "dead"."""

    worker: str
    incarnation: int
    state: str


class Owner(NamedTuple):
    """Somebody who keeps files of the application: a worker's id, or "driver".

    Who can read ``<directory>/.owner`` and finds ``token`` in it is on the same machine and reads the files there.
    """

    owner: str
    directory: str
    token: str
    endpoint: str
    server_key: str


class SharedFile(NamedTuple):
    """Something that the driver gives every executor; where its machine is the driver's, it is there already.

    ``kind`` is "file", "python" (also a place to import from), "archive" (unpacked under ``name``) or "modules": the
    program's own, unpacked in a directory of their own, imported before all else, instead of the last ones.
    ``form`` is "" or what unpacks it: "zip" or "tar". ``digest`` is the blake2b of the content, which is the value in
    the driver's file ``block``. ``modules`` are the outermost ones and their versions, "engine=1f3a": those of another
    version than before are imported anew. ``problem`` says why they could not be sent.
    """

    name: str
    kind: str
    form: str
    block: str
    pieces: int
    digest: str
    modules: tuple[str, ...]
    problem: str


class TaskLaunch(NamedTuple):
    """One attempt of one task. ``split`` is pickled; empty means None."""

    task: int
    partition: int
    attempt: int
    split: bytes


class Said(NamedTuple):
    """What a task of a gang tells the others: the text itself, or the file of ``owner`` that holds it."""

    text: str
    owner: str
    name: str


class CachedBlock(NamedTuple):
    """A partition of an RDD that a task has cached; ``name`` is its file, empty when it is in memory."""

    rdd: int
    partition: int
    name: str
    size_bytes: int


class FetchFault(NamedTuple):
    """The segment that could not be had. ``shuffle`` is -1 when it belongs to no map output."""

    owner: str
    name: str
    shuffle: int
    map_index: int
    reason: str


class Frame(NamedTuple):
    """One frame of a remote traceback; columns are -1 when unknown."""

    file: str
    function: str
    line: int
    end_line: int
    column: int
    end_column: int
    source: str


class Failure(NamedTuple):
    """An exception of user code as plain data. ``pickled`` is empty unless it survives the journey."""

    type_name: str
    module: str
    text: str
    frames: tuple[Frame, ...]
    notes: tuple[str, ...]
    traceback: str
    pickled: bytes


class TaskReport(NamedTuple):
    """How one attempt ended.

    ``outcome`` is "ok", "raised" (user code), "fetch_failed", "cancelled", "node_fault" (disk) or "out_of_memory".
    A result is in ``payload`` or, when large, in the file ``name``; a map output is always in ``name``.
    """

    task: int
    outcome: str
    payload: bytes
    name: str
    size_bytes: int
    accumulated: bytes
    blocks: tuple[CachedBlock, ...]
    metrics: dict[str, int]
    failure: Failure | None
    fetch: FetchFault | None


# ── worker to master ─────────────────────────────────────────────────────────────────────────────────────────────


class RegisterWorker(NamedTuple):
    """Hello. ``worker`` and ``incarnation`` are those of an earlier registration, or "" and 0."""

    name: str
    host: str
    process: int
    slots: int
    memory_bytes: int
    labels: dict[str, str]
    block_endpoint: str
    worker: str
    incarnation: int
    executors: tuple[HeldExecutor, ...]


class Heartbeat(NamedTuple):
    """Still here. ``running`` are the executors alive now; ``load`` is in busy cores."""

    incarnation: int
    running: int
    load: float
    memory_used_bytes: int


class ExecutorsChanged(NamedTuple):
    """Executors that have started or ended since the last report."""

    incarnation: int
    started: tuple[str, ...]
    ended: tuple[ExecutorExit, ...]


# ── master to worker ─────────────────────────────────────────────────────────────────────────────────────────────


class WorkerRegistered(NamedTuple):
    """The welcome. Executors in ``kill`` belong to an older incarnation or an unknown application."""

    worker: str
    incarnation: int
    heartbeat_s: float
    kill: tuple[str, ...]


class LaunchExecutors(NamedTuple):
    """Start these."""

    executors: tuple[ExecutorSpec, ...]


class KillExecutors(NamedTuple):
    """End these; the reason is for their logs. The master and an application's driver may send it."""

    executors: tuple[str, ...]
    reason: str


class ForgetApplications(NamedTuple):
    """These applications are over: end what they run and remove their files."""

    applications: tuple[str, ...]


# ── driver to master ─────────────────────────────────────────────────────────────────────────────────────────────


class RegisterApplication(NamedTuple):
    """Hello. ``application`` is empty the first time; later, with ``executors`` held, it claims the old one again."""

    name: str
    user: str
    application: str
    driver_endpoint: str
    driver_key: str
    executor_public: str
    executor_secret: bytes
    nonce_secret: bytes
    cores_per_executor: int
    memory_per_executor_bytes: int
    max_executors: int
    labels: dict[str, str]
    placement: str
    executors: tuple[str, ...]
    driver_socket: str = ""  # the path of a Unix socket at which its executors on its machine may come, too


class AskExecutors(NamedTuple):
    """How many executors the application wants in all, those it has included."""

    total: int


class ReleaseExecutors(NamedTuple):
    """Executors that the application gives back."""

    executors: tuple[str, ...]


class FinishApplication(NamedTuple):
    """The application is over."""


# ── master to driver ─────────────────────────────────────────────────────────────────────────────────────────────


class ApplicationRegistered(NamedTuple):
    """The welcome. Executors in ``lost`` were claimed but are no longer this application's.

    ``slots`` are those of the workers that are alive, whoever holds them: what a program divides its work by.
    """

    application: str
    epoch: int
    lost: tuple[str, ...]
    slots: int = 0


class ExecutorsGranted(NamedTuple):
    """Executors on their way."""

    grants: tuple[Grant, ...]


class ExecutorsGone(NamedTuple):
    """Executors that ended or never started, as their workers told the master."""

    ended: tuple[ExecutorExit, ...]


class WorkersChanged(NamedTuple):
    """How workers that host this application are now."""

    workers: tuple[WorkerState, ...]


class GiveBack(NamedTuple):
    """Others wait and this application is above its fair share: release so many executors as tasks end."""

    executors: int


class QueueState(NamedTuple):
    """Why the application does not have all it asked for; ``unmet`` when even idle workers could not give it."""

    text: str
    wanted: int
    granted: int
    workers: int
    unmet: bool


# ── worker to driver ─────────────────────────────────────────────────────────────────────────────────────────────


class WorkerHello(NamedTuple):
    """Hello of a worker that hosts the application, with where its files are."""

    worker: str
    incarnation: int
    host: str
    owner: Owner


class ExecutorsExited(NamedTuple):
    """Executors of this application that ended, straight from their parent."""

    ended: tuple[ExecutorExit, ...]


class ExecutorsPaused(NamedTuple):
    """All executors of this application that a signal has stopped; none until a session's first word of it."""

    executors: tuple[str, ...]


# ── driver to worker ─────────────────────────────────────────────────────────────────────────────────────────────


class RemoveFiles(NamedTuple):
    """Files of the application that nobody needs any more: those whose names start with one of these."""

    prefixes: tuple[str, ...]


# ── executor to driver ───────────────────────────────────────────────────────────────────────────────────────────


class ExecutorHello(NamedTuple):
    """Hello. The nonce proves which executor; the probe, that its ``hash`` is everybody's."""

    executor: str
    nonce: bytes
    process: int
    slots: int
    hash_probe: int


class TaskReports(NamedTuple):
    """Attempts that ended."""

    reports: tuple[TaskReport, ...]


class CommitAsk(NamedTuple):
    """Ask whether this attempt may make its output visible."""

    task: int


class BarrierAsk(NamedTuple):
    """A task of a gang has come to its ``meeting``-th barrier() or allGather() and waits for the others."""

    task: int
    meeting: int
    kind: str
    said: Said


class BlocksDropped(NamedTuple):
    """Cached partitions, as (rdd, partition), that this executor no longer has."""

    blocks: tuple[tuple[int, int], ...]


class ProgramMissing(NamedTuple):
    """A task names a program that this executor does not hold."""

    hash: bytes
    tasks: tuple[int, ...]


class TaskSamples(NamedTuple):
    """Where tasks were when they were looked at: (stage, times, positions in ``frames``, the outermost first).

    A frame is (file, function, the function's first line, line, "user" or "library" or "engine").
    """

    frames: tuple[tuple[str, str, int, int, str], ...]
    stacks: tuple[tuple[int, int, tuple[int, ...]], ...]


# ── driver to executor ───────────────────────────────────────────────────────────────────────────────────────────


class ExecutorSettings(NamedTuple):
    """The first message: how the application wants its executors."""

    application: str
    import_path: tuple[str, ...]
    working_directory: str
    memory_budget_bytes: int
    batch_rows: int
    inline_result_bytes: int
    properties: dict[str, str]
    owner: Owner
    environment: dict[str, str] = {}  # noqa: RUF012 (of a tuple; nobody changes it)


class Owners(NamedTuple):
    """Who keeps files; adds to and replaces what was said before."""

    owners: tuple[Owner, ...]


class MapOutputs(NamedTuple):
    """Where a shuffle's map outputs are: per map index the position in ``owners`` and the task that wrote it.

    A table with a lower epoch than the one held is ignored.
    """

    shuffle: int
    epoch: int
    owners: tuple[str, ...]
    places: tuple[tuple[int, int], ...]


class CachedPartitions(NamedTuple):
    """Cached partitions in files that other machines may fetch: (rdd, partition, owner, name)."""

    blocks: tuple[tuple[int, int, str, str], ...]


class StageProgram(NamedTuple):
    """The code of a stage; ``name`` is the driver's file that holds it when ``program`` is empty."""

    hash: bytes
    program: bytes
    name: str


class LaunchTasks(NamedTuple):
    """Run these attempts. ``cpus`` is each one's exact share; ``addresses`` are those of a gang, by partition."""

    job: int
    stage: int
    stage_attempt: int
    hash: bytes
    properties: dict[str, str]
    tasks: tuple[TaskLaunch, ...]
    cpus: str = "1"
    addresses: tuple[str, ...] = ()


class CancelTasks(NamedTuple):
    """Stop these attempts."""

    tasks: tuple[int, ...]
    reason: str


class CommitAnswer(NamedTuple):
    """The answer to CommitAsk."""

    task: int
    allowed: bool


class BarrierAnswer(NamedTuple):
    """All have come to a meeting, and this is what they said, by partition; or ``error`` says why it cannot be."""

    task: int
    meeting: int
    said: tuple[Said, ...]
    error: str


class DropBlocks(NamedTuple):
    """Forget the cached partitions of these RDDs, these shuffles' tables and these broadcasts."""

    rdds: tuple[int, ...]
    shuffles: tuple[int, ...]
    broadcasts: tuple[int, ...]


class SharedFiles(NamedTuple):
    """Files, archives and modules that tasks find from now on; adds to what was said before."""

    files: tuple[SharedFile, ...]


class Shutdown(NamedTuple):
    """Leave; nothing more will come."""

    reason: str


# ── block server ─────────────────────────────────────────────────────────────────────────────────────────────────


class BlockClientHello(NamedTuple):
    """Hello of somebody who wants files of one application."""

    application: str


class FetchChunk(NamedTuple):
    """A part of one segment; the client asks for several at a time, which is the flow control."""

    request: int
    name: str
    segment: int
    offset: int
    length: int


class Chunk(NamedTuple):
    """The part, and how long the whole segment is. ``error`` is "" or why there is none."""

    request: int
    offset: int
    total: int
    data: bytes
    error: str


# ── anybody with a key to master ─────────────────────────────────────────────────────────────────────────────────


class StatusQuery(NamedTuple):
    """Hello of somebody who only looks."""


class StatusReport(NamedTuple):
    """The master's tables as JSON."""

    text: str


REGISTRY: dict[int, type] = {
    1: RegisterWorker, 2: Heartbeat, 3: ExecutorsChanged,
    10: WorkerRegistered, 11: LaunchExecutors, 12: KillExecutors, 13: ForgetApplications,
    20: RegisterApplication, 21: AskExecutors, 22: ReleaseExecutors, 23: FinishApplication,
    30: ApplicationRegistered, 31: ExecutorsGranted, 32: ExecutorsGone, 33: WorkersChanged, 34: GiveBack,
    35: QueueState,
    40: WorkerHello, 41: ExecutorsExited, 42: ExecutorsPaused, 50: RemoveFiles,
    60: ExecutorHello, 61: TaskReports, 62: CommitAsk, 63: BlocksDropped, 64: ProgramMissing,
    70: ExecutorSettings, 71: Owners, 72: MapOutputs, 73: CachedPartitions, 74: StageProgram, 75: LaunchTasks,
    76: CancelTasks, 77: CommitAnswer, 78: DropBlocks, 79: Shutdown,
    80: BlockClientHello, 81: FetchChunk, 82: Chunk,
    90: StatusQuery, 91: StatusReport,
    100: SharedFiles,
    110: BarrierAsk, 111: BarrierAnswer,
    120: TaskSamples,
}  # fmt: skip

HELLOS = frozenset({RegisterWorker, RegisterApplication, WorkerHello, ExecutorHello, BlockClientHello, StatusQuery})

MIB = 1 << 20
DEFAULT_LIMIT_BYTES = 1 * MIB
LIMITS_BYTES: dict[type, int] = {
    TaskReports: 4 * MIB, LaunchTasks: 4 * MIB, MapOutputs: 4 * MIB, StageProgram: 1 * MIB, Chunk: 2 * MIB,
}  # fmt: skip
