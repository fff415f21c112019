"""What goes on in the background of a context, and how long its end is waited for."""

from __future__ import annotations

from simspark.driver.activities import Activities


class Time:
    """A clock that is moved by those who wait."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def now(self) -> float:
        return self.now_s

    def wall(self) -> float:
        return self.now_s


class Slow:
    """An activity that takes its time to end."""

    properties: dict[str, str] = {}  # noqa: RUF012 (never changed)

    def __init__(self, time: Time, lasts_s: float) -> None:
        self.waits: list[float] = []
        self._time = time
        self._lasts_s = lasts_s

    def cancel(self, reason: str = "") -> bool:
        return False

    def join(self, timeout_s: float) -> None:
        self.waits.append(timeout_s)
        self._time.now_s += min(timeout_s, self._lasts_s)


def test_all_together_are_waited_for_no_longer_than_was_said():
    time = Time()
    activities = Activities(time)
    slow = [Slow(time, 3.0), Slow(time, 9.0), Slow(time, 1.0)]
    for each in slow:
        activities.add(each)
    activities.end(5.0)
    assert [each.waits for each in slow] == [[5.0], [2.0], [0.0]]
    assert time.now_s == 105.0


def test_what_is_over_is_not_waited_for():
    time = Time()
    activities = Activities(time)
    over = Slow(time, 1.0)
    activities.add(over)
    activities.remove(over)
    activities.remove(over)
    activities.end(5.0)
    assert over.waits == []
