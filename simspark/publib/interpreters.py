"""Other Python processes of simspark's: clean ones, which import while this one goes on with its own work.

They are started by exec and not by a fork of this process, which may be large and have threads. They find simspark and
what it stands on where this process found them, nothing of the program's, and hash texts as executors must.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import sys
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from simspark.publib.clock import SystemClock
from simspark.publib.kept_memory import ask_to_keep

_BOOT = """import gc, sys
gc.disable()
first, *others = {roots!r}
sys.path[:0] = [first] if first not in sys.path else []
sys.path += [root for root in others if root not in sys.path]
from {module} import main
main(*{arguments!r})"""


def spawn(module: str, arguments: tuple[Any, ...], descriptors: Mapping[int, int]) -> int:
    """Exec a Python that calls ``main`` of a module with these literals; its process id.

    ``descriptors`` says which of ours it has under which number; of 0, 1 and 2 those not named are nowhere.
    """
    above = max(10, *(number + 1 for number in descriptors))
    high = {number: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, above) for number, fd in descriptors.items()}
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2) if number not in high
    ]
    actions += [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in high.items()]
    code = _BOOT.format(roots=_roots(), module=module, arguments=arguments)
    argv = [sys.executable, "-P", "-c", code]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    ask_to_keep(environment)
    try:
        return os.posix_spawn(sys.executable, argv, environment, file_actions=actions, setsigmask=(),
                              setsigdef=(signal.SIGINT, signal.SIGTERM, signal.SIGCHLD))  # fmt: skip
    finally:
        for fd in high.values():
            os.close(fd)


def _roots() -> list[str]:
    """Where this process finds simspark, first, and what it stands on; the other may not. Imports none of it."""
    from importlib.util import find_spec

    specs = map(find_spec, ("zmq", "msgpack", "cloudpickle"))
    packages = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
    packages += [os.path.dirname(os.path.abspath(spec.origin)) for spec in specs if spec and spec.origin]
    return list(dict.fromkeys(os.path.dirname(package) for package in packages))


def forked(run: Callable[[], None], descriptors: Mapping[int, int]) -> int:
    """Fork this process, which must have no threads, and have the child run this and end; its process id.

    The child has ``descriptors`` and 0, 1 and 2, as in ``spawn``, and no other. Nothing that was opened before may be
    used or closed in it.
    """
    process = os.fork()
    if process == 0:
        status = 1
        try:
            _keep_only(descriptors)
            run()
            status = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)
    return process


def _keep_only(descriptors: Mapping[int, int]) -> None:
    above = max(10, *(number + 1 for number in descriptors))
    high = {number: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, above) for number, fd in descriptors.items()}
    null = fcntl.fcntl(os.open(os.devnull, os.O_RDWR), fcntl.F_DUPFD_CLOEXEC, above)
    for number in range(3):
        os.dup2(high.get(number, null), number)
    for number, fd in high.items():
        os.dup2(fd, number)
    for before, behind in pairwise([*sorted({0, 1, 2, *high}), _above_all_open()]):
        os.closerange(before + 1, behind)


def _above_all_open() -> int:
    try:
        return max(map(int, os.listdir("/dev/fd"))) + 1
    except (OSError, ValueError):
        return os.sysconf("SC_OPEN_MAX")


def watched(process: int) -> int:
    """A descriptor that is readable once the process has ended; -1 where there is no such thing."""
    try:
        return os.pidfd_open(process)
    except (AttributeError, OSError):
        return -1


def wait_for(process: int, seconds: float) -> None:
    """Reap a child in bounded time: it leaves by itself, and is killed when it does not."""
    clock = SystemClock()
    deadline = clock.now() + seconds
    pause_ms = 1
    while not _reaped(process, os.WNOHANG):
        if clock.now() > deadline:
            _kill(process)
            _reaped(process, 0)
            return
        select.poll().poll(pause_ms)
        pause_ms = min(20, pause_ms * 2)


def _reaped(process: int, options: int) -> bool:
    try:
        return os.waitpid(process, options)[0] != 0
    except ChildProcessError:
        return True


def _kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except OSError:
        pass
