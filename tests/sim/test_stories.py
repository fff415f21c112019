"""Golden traces of small schedules that read like stories.

When a change of a core changes a story, read the difference; if it is right, write it anew:
``python -m tests.sim.test_stories``.
"""

from __future__ import annotations

import os

import pytest

from tests.sim.plan import Behaviour, Fault, Plan
from tests.sim.simulation import simulate

DIRECTORY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "stories")
CALM = Plan(
    seed="story",
    workers=2,
    slots=1,
    executor_cores=1,
    drivers=("driver-a",),
    wanted=2,
    faults=(),
    behaviours=(),
    loss=0.0,
    delay_s=0.0,
    task_timeout_s=0.0,
    speculation=False,
    slow_worker=False,
)
STORIES = {
    "nothing_happens": CALM,
    "an_executor_is_killed_in_user_code": CALM._replace(faults=(Fault("kill executor", "p3", 2, 1.0),)),
    "a_worker_is_killed_while_it_serves_a_fetch": CALM._replace(faults=(Fault("kill worker", "p7", 1, 2.0),)),
    "the_master_is_killed_while_jobs_run": CALM._replace(faults=(Fault("kill master", "p5", 1, 2.0),)),
    "a_worker_is_stopped_for_a_minute": CALM._replace(faults=(Fault("stop worker", "p8", 1, 60.0),)),
    "a_machine_is_cut_off_for_nine_seconds": CALM._replace(faults=(Fault("cut node", "p6", 2, 9.0),)),
    "a_map_output_is_corrupt": CALM._replace(faults=(Fault("corrupt block", "p8", 1, 1.0),)),
    "user_code_dies_hangs_and_raises": CALM._replace(task_timeout_s=30.0, behaviours=(
        Behaviour("driver-a", 1, 0, 1, "die"), Behaviour("driver-a", 2, 1, 1, "raise"),
        Behaviour("driver-a", 2, 0, 1, "hang"),
    )),
    "the_driver_is_killed": CALM._replace(faults=(Fault("kill driver", "p3", 3, 1.0),)),
}  # fmt: skip


def told(name: str) -> str:
    outcome = simulate(STORIES[name], traced=True)
    end = outcome.violation or "all is well and nothing is left"
    return "\n".join([*outcome.trace, end]) + "\n"


def path_of(name: str) -> str:
    return os.path.join(DIRECTORY, name + ".txt")


@pytest.mark.parametrize("name", list(STORIES))
def test_a_story_goes_as_it_was_written_down(name: str):
    with open(path_of(name)) as file:
        assert told(name) == file.read()


def write_all() -> None:
    for name in STORIES:
        with open(path_of(name), "w") as file:
            file.write(told(name))


if __name__ == "__main__":
    write_all()
