"""What a hello may hold. Senders are checked before the core repeats their words in messages to others."""

from __future__ import annotations

from simspark.publib.wire.messages import RegisterApplication, RegisterWorker

TEXT_LIMIT = 300
SECRET_LIMIT_BYTES = 200
MOST_LABELS = 50
MOST_EXECUTORS = 10_000


def worker_fault(hello: RegisterWorker) -> str:
    """What is wrong with a worker's hello, or ""."""
    if hello.slots < 1 or hello.memory_bytes < 0 or not hello.host:
        return "a worker offers at least one executor and has a host"
    if len(hello.executors) > MOST_EXECUTORS or hello.slots > MOST_EXECUTORS:
        return f"a worker has at most {MOST_EXECUTORS} executors"
    return _too_long(hello.name, hello.host, hello.block_endpoint, hello.worker) or _label_fault(hello.labels)


def application_fault(hello: RegisterApplication) -> str:
    """What is wrong with a driver's hello, or ""."""
    if hello.cores_per_executor < 1 or hello.memory_per_executor_bytes < 0 or hello.max_executors < 0:
        return "an executor has at least one core, and no size is negative"
    if hello.placement not in {"spread", "pack"}:
        return f"placement is 'spread' or 'pack', not '{hello.placement[:40]}'"
    if not hello.nonce_secret or not hello.driver_endpoint:
        return "a driver names its endpoint and its secret"
    if max(len(hello.nonce_secret), len(hello.executor_secret)) > SECRET_LIMIT_BYTES:
        return f"a secret has at most {SECRET_LIMIT_BYTES} bytes"
    texts = hello.name, hello.user, hello.application, hello.driver_endpoint, hello.driver_key, hello.executor_public
    return _too_long(*texts, hello.driver_socket) or _label_fault(hello.labels)


def _label_fault(labels: dict[str, str]) -> str:
    if len(labels) > MOST_LABELS:
        return f"there are at most {MOST_LABELS} labels"
    return _too_long(*labels.keys(), *labels.values())


def _too_long(*texts: str) -> str:
    longest = max(texts, key=len, default="")
    return f"a text has at most {TEXT_LIMIT} characters: {longest[:40]!r}..." if len(longest) > TEXT_LIMIT else ""
