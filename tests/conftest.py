"""The order of the tests: what runs longest begins first, so that no worker is left with it at the end."""

# Whole workflows and trainings, a minute and more each; the longest first.
LONGEST = (
    "test_workflow",
    "test_interrupted",
    "test_hetionet",
    "test_demo_found",
    "test_benchmark_quality",
    "test_benchmark_attention",
    "test_resume",
)


def pytest_collection_modifyitems(items):
    """Bring these modules to the front and leave all else in its order."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONGEST)))
