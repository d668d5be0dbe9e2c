"""The order of the tests, and the choice of those that compare seconds."""

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
    "test_resume",
)


def pytest_addoption(parser):
    """Not -m, which a person may give too: of two, pytest heeds the last alone."""
    parser.addoption("--timed", choices=("only", "none"), help="the tests marked as timed, or all others")


def pytest_collection_modifyitems(config, items):
    """Leave out what --timed does not ask for, and bring the longest modules to the front."""
    wanted = config.getoption("timed")
    is_timed = {item: item.get_closest_marker("timed") is not None for item in items}
    left_out = [item for item in items if wanted and is_timed[item] != (wanted == "only")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONGEST)))
