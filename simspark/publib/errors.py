"""Every error that simspark raises, in one tree.

    SimsparkError
    ├── UserError                 the program asks for something that cannot be
    │   ├── ConfigError           a setting is unknown, malformed or contradicts another
    │   ├── NotSerializable       a closure, an RDD or a context cannot travel
    │   ├── ContextStopped        the context is not running
    │   ├── SparkLacks            Apache Spark has nothing of the name
    │   ├── PipeFailed            a program that rows were piped through failed
    │   ├── NeedsSpark            only Apache Spark can do it
    │   └── BarrierError          a barrier stage cannot be, or its tasks cannot meet
    ├── ClusterError              this cluster cannot do it now
    │   ├── NoMaster              nobody answers there
    │   ├── AccessRefused         no key, a wrong key, or the key of another role
    │   ├── VersionMismatch       the other side has another simspark or Python
    │   ├── NotEnoughResources    more than the registered workers have even when idle
    │   ├── WorkerLost            a task's executors ended again and again
    │   ├── PortTaken             somebody else listens there
    │   └── StorageFault          a disk is full, read-only or gone
    ├── JobError                  a job ended without its result
    │   ├── JobFailed             for a named cause
    │   ├── JobCancelled          because somebody asked
    │   ├── ResultTooLarge        the results exceed spark.driver.maxResultSize
    │   └── RemoteFailure         stands in for a user's exception that could not travel
    ├── BlockError                data that should be there
    │   ├── MissingBlock          is not
    │   │   └── OutOfReach        because who keeps it cannot be reached
    │   ├── CorruptBlock          is damaged
    │   └── FetchFailed           could not be had; names which
    ├── PeerError                 the other side of a connection
    │   ├── ProtocolError         sent what it must not
    │   ├── PeerTimeout           does not answer
    │   └── MessageTooLarge       would refuse what we are about to send
    └── InternalError             a bug of ours: please report it

A user function that raises is not in the tree: its own exception type arrives in the driver.
"""

from __future__ import annotations

from _pickle import PicklingError  # which is pickle's, without what pickle imports


class SimsparkError(Exception):
    """Any error of simspark's own. ``code`` is stable and leads to docs/errors.md."""

    code = "SS000"


class UserError(SimsparkError):
    """The program asks for something that cannot be."""

    code = "SS100"


class ConfigError(UserError, ValueError):
    """A setting is unknown, malformed or contradicts another."""

    code = "SS101"


class NotSerializable(UserError, TypeError, PicklingError):
    """A closure, a broadcast's value, an RDD or a context cannot travel to the executors."""

    code = "SS102"


class ContextStopped(UserError, RuntimeError):
    """The context was stopped, or never started."""

    code = "SS103"


class SparkLacks(UserError, AttributeError):
    """Only simspark's own engine has what was asked for; this program runs on Apache Spark."""

    code = "SS104"


class PipeFailed(UserError, RuntimeError):
    """A program that rows were piped through ended with an error code."""

    code = "SS105"


class NeedsSpark(UserError, NotImplementedError):
    """Only Apache Spark can do it: the program may run there unchanged."""

    code = "SS106"


class BarrierError(UserError, RuntimeError):
    """A barrier stage cannot be, its tasks cannot meet, or a task is in none."""

    code = "SS107"


class ClusterError(SimsparkError):
    """This cluster cannot do it now."""

    code = "SS200"


class NoMaster(ClusterError, ConnectionError):
    """Nobody answers at the master's address."""

    code = "SS201"


class AccessRefused(ClusterError, PermissionError):
    """No key, a wrong key, or the key of another role."""

    code = "SS202"


class VersionMismatch(ClusterError):
    """The other side has another simspark or Python minor version."""

    code = "SS203"


class NotEnoughResources(ClusterError):
    """The application needs more than the registered workers have, even when idle."""

    code = "SS204"


class WorkerLost(ClusterError):
    """A task's executors ended again and again; the message says how."""

    code = "SS205"


class PortTaken(ClusterError, OSError):
    """Somebody else listens on the port."""

    code = "SS206"


class StorageFault(ClusterError, OSError):
    """A disk is full, read-only or gone."""

    code = "SS207"


class JobError(SimsparkError):
    """A job ended without its result."""

    code = "SS300"


class JobFailed(JobError):
    """A job failed for a named cause."""

    code = "SS301"


class JobCancelled(JobError):
    """A job was cancelled."""

    code = "SS302"


class ResultTooLarge(JobError):
    """The results exceed spark.driver.maxResultSize."""

    code = "SS303"


class RemoteFailure(JobError):
    """Stands in for a user's exception that could not travel."""

    code = "SS304"


class BlockError(SimsparkError):
    """A block cannot be read."""

    code = "SS400"


class MissingBlock(BlockError):
    """A block that should be there is not."""

    code = "SS401"


class OutOfReach(MissingBlock):
    """Whoever keeps a block cannot be reached."""

    code = "SS404"


class CorruptBlock(BlockError):
    """A block's length or checksum is wrong."""

    code = "SS402"


class FetchFailed(BlockError):
    """A segment could not be had. Names it, so that the driver can have it made anew."""

    code = "SS403"

    def __init__(self, owner: str, name: str, shuffle: int, map_index: int, reason: str) -> None:
        super().__init__(owner, name, shuffle, map_index, reason)
        self.owner = owner
        self.name = name
        self.shuffle = shuffle
        self.map_index = map_index
        self.reason = reason


class PeerError(SimsparkError):
    """The other side of a connection misbehaves."""

    code = "SS500"


class ProtocolError(PeerError):
    """The peer sent what it must not."""

    code = "SS501"


class PeerTimeout(PeerError, TimeoutError):
    """The peer does not answer."""

    code = "SS502"


class MessageTooLarge(PeerError, ValueError):
    """A message is larger than any peer accepts, so it was not sent."""

    code = "SS503"


class InternalError(SimsparkError):
    """A bug of simspark's."""

    code = "SS900"
