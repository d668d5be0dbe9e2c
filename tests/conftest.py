"""The order of the tests, and which of them run alone."""

from pathlib import Path

import pytest
from turns import turn

# Whole workflows and trainings, a minute and more each, the longest first: begun at the end, one of them
# would leave the other workers idle.
LONGEST = (
    "test_workflow",
    "test_endings",
    "test_interrupted",
    "test_contradictions",
    "test_hetionet",
    "test_demo_found",
    "test_benchmark_quality",
    "test_benchmark_attention",
    "test_resume",
)
# Not by pytest's own cache, which its user may have switched off.
TURNS = Path(__file__).resolve().parents[1] / ".pytest_cache/turns"


def pytest_collection_modifyitems(items):
    """Bring these modules to the front and leave all else in its order."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONGEST)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Run a test that is marked as timed, and what it sets up, while no other worker runs one."""
    TURNS.mkdir(parents=True, exist_ok=True)
    with turn(TURNS, item.get_closest_marker("timed") is not None):
        return (yield)
