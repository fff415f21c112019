"""What the engine does in a faster way where a plain one is there, too, and gives the same.

Each has a name. ``spark.simspark.optimizations.off`` says which ones an application goes without: all have been proved
by switching them off, one by one and together, under random programs. A process is told once, before it works: the
driver by its context, an executor by the application's settings. They are asked for by stages, tasks and batches of
rows, never for a row.

Ways that can be seen from outside are not here: where rows are cached, what is spilled, and which RDDs are partitioned
alike (a program may say of its own functions that they keep keys in place) belong to what an RDD means.
"""

from __future__ import annotations

SETTING = "spark.simspark.optimizations.off"

NAMES: dict[str, str] = {
    "fusion": "Small functions are built into loops over rows; plainly, each row passes step by step.",
    "ranges": "A range travels as its bounds; plainly, as rows in a file of the driver.",
    "sizes": "Rows of which it is known how many they are are not counted one by one.",
    "sums": "A fold by a + b adds in its loop; plainly, it calls the function.",
    "lists": "Groups that are lists grow in their loop; plainly, by a function that appends or extends.",
    "first-values": "Distinct rows are the keys of a dictionary; plainly, a function keeps one of two.",
    "new-keys": "What is merged is taken many keys at a time while all are new; plainly, each is looked for.",
    "hashes": "Keys of simple types are placed by the builtin hash, many at a time; plainly, by portable_hash each.",
    "combining": "Reductions and groups begin before the shuffle; plainly, all rows travel.",
    "cuts": "A sort by ranges sorts before the shuffle, too, and cuts there; plainly, each row is placed by its key.",
    "one-pass": "Bounds of a sort are sampled while rows are counted; plainly, when they have been counted.",
    "sampled-lines": "Of text, only the lines that a sort samples get keys, where none can fail; plainly, all do.",
    "columns": "Pairs travel as a list of keys and one of values; plainly, as a list of pairs.",
    "arrays": "Small arrays of one kind in a batch travel as one array; plainly, each is pickled.",
    "unique-keys": "Joins keep a key's only value as it is; plainly, each key has lists of values.",
    "streamed-joins": "Cached rows whose keys come once are joined as they are read; plainly, from a table of them.",
    "statistics": "Numbers are merged into statistics in one loop; plainly, by one call for each.",
    "checksums": "The checksum of a large value is computed while it is written; plainly, before that.",
    "mapping": "Files of this machine are mapped; plainly, what is wanted of them is read.",
    "inline-results": "Small results ride in the report of their task; plainly, each is a file.",
    "large-values": "Large values that functions captured travel once to each machine; plainly, with each program.",
}

_off: frozenset[str] = frozenset()


def uses(name: str) -> bool:
    """Whether this process takes the faster way of that name."""
    return name not in _off


def names_in(text: str) -> frozenset[str]:
    """The names that a setting lists, with commas between them. Raises ValueError for one that is unknown."""
    names = frozenset(filter(None, map(str.strip, text.split(","))))
    if not names <= NAMES.keys():
        raise ValueError(text)
    return names


def do_without(names: frozenset[str]) -> None:
    """This process goes without these, and no others."""
    global _off
    _off = names
