"""Schedules that once failed. Each is named after the bug that it found, which still fails it when it is put back."""

from __future__ import annotations

import os

import pytest

from tests.sim.plan import Plan, from_json, plan_of, to_json
from tests.sim.planted import FOUND, planted
from tests.sim.simulation import simulate

DIRECTORY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "schedules")
NAMES = sorted(name.removesuffix(".json") for name in os.listdir(DIRECTORY) if name.endswith(".json"))


def kept(name: str) -> Plan:
    with open(os.path.join(DIRECTORY, name + ".json")) as file:
        return from_json(file.read())


@pytest.mark.parametrize("name", NAMES)
def test_a_kept_schedule_ends_right(name: str):
    assert not simulate(kept(name)).violation


@pytest.mark.parametrize("name", sorted(FOUND))
def test_a_kept_schedule_fails_when_its_bug_is_put_back(name: str):
    with planted(name):
        assert simulate(kept(name)).violation


def test_a_schedule_is_the_same_after_its_journey_through_a_file():
    plan = plan_of(6)
    assert from_json(to_json(plan)) == plan
