"""A number that is known about, and how well."""

from __future__ import annotations

from typing import Self


class BoundedFloat(float):
    """An estimate: it lies between ``low`` and ``high`` with a probability of ``confidence``.

    >>> estimate = BoundedFloat(100.0, 0.95, 95.0, 105.0)
    >>> estimate, estimate.mean, estimate.confidence, estimate.low, estimate.high
    (100.0, 100.0, 0.95, 95.0, 105.0)
    """

    confidence: float
    low: float
    high: float

    def __new__(cls, mean: float, confidence: float, low: float, high: float) -> Self:  # noqa: D102 (see the class)
        made = super().__new__(cls, mean)
        made.confidence = confidence
        made.low = low
        made.high = high
        return made

    @property
    def mean(self) -> float:
        """The estimate as a plain number.

        >>> BoundedFloat(2.0, 0.9, 1.0, 3.0).mean
        2.0
        """
        return float(self)

    def __getnewargs__(self) -> tuple[float, float, float, float]:  # type: ignore[override]
        return float(self), self.confidence, self.low, self.high
