"""The order of the tests, and the option --timed, which selects the tests that compare durations."""

from repurpose.core import threads

# Two workers share the cores, and so do the processes that tests start.
threads.let_idle_threads_sleep()

# Modules that run workflows and trainings, a minute or more each, the longest first. They run first because
# a long test at the end leaves the other workers idle.
LONGEST = (
    "test_workflow",
    "test_endings",
    "test_odd_targets",
    "test_interrupted",
    "test_seeds",
    "test_contradictions",
    "test_hetionet",
    "test_given",
    "test_demo_found",
    "test_benchmark_quality",
    "test_resume",
)


def pytest_addoption(parser):
    """Add --timed. It is not done with -m, because a user may give -m too and pytest uses only the last."""
    parser.addoption("--timed", choices=("only", "none"), help="the tests marked as timed, or all others")


def pytest_collection_modifyitems(config, items):
    """Deselect the tests that --timed leaves out, and sort the longest modules to the front."""
    wanted = config.getoption("timed")
    is_timed = {item: item.get_closest_marker("timed") is not None for item in items}
    deselected = [item for item in items if wanted and is_timed[item] != (wanted == "only")]
    config.hook.pytest_deselected(items=deselected)
    items[:] = [item for item in items if item not in deselected]
    position = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: position.get(item.path.stem, len(LONGEST)))
