"""The RDD: what users hold. Its methods are in the modules beside this one, by what they do."""

from __future__ import annotations

from typing import TypeVar

from simspark.driver.rdd.actions import Actions
from simspark.driver.rdd.async_actions import AsyncActions
from simspark.driver.rdd.barriers import Barriers
from simspark.driver.rdd.checkpoints import Checkpoints
from simspark.driver.rdd.estimates import Estimates
from simspark.driver.rdd.files import FileActions
from simspark.driver.rdd.hadoop import HadoopFormats
from simspark.driver.rdd.joins import JoinTransformations
from simspark.driver.rdd.narrow import NarrowTransformations
from simspark.driver.rdd.numeric import NumericActions
from simspark.driver.rdd.pairs import PairTransformations
from simspark.driver.rdd.samples import Samples
from simspark.driver.rdd.sorts import SortTransformations

T = TypeVar("T", covariant=True)


class RDD(
    NarrowTransformations[T],
    PairTransformations[T],
    JoinTransformations[T],
    SortTransformations[T],
    Samples[T],
    Barriers[T],
    Actions[T],
    NumericActions[T],
    Estimates[T],
    AsyncActions[T],
    FileActions[T],
    HadoopFormats[T],
    Checkpoints[T],
):
    """A resilient distributed dataset: rows in partitions, and how to compute them.

    Made by a context or from another RDD. Nothing is computed until an action needs it; a partition that is lost is
    computed again.

    >>> squares = sc.parallelize([1, 2, 3]).map(lambda x: x * x)
    >>> squares.sum()
    14
    """
