"""The benchmark of the gate: its changes break the vectors, and its table counts wrong verdicts."""

import communities
import gate as benchmark
import numpy as np
import pytest

KG = communities.build()
GENERATOR = np.random.default_rng(0)
VECTORS = {t: GENERATOR.normal(size=(KG.count(t), 6)).astype(np.float32) for t in KG.node_types}


def generator():
    return np.random.default_rng(1)


def test_changes_of_the_order_keep_the_rows_and_move_them():
    for change in (benchmark.permute, benchmark.shift):
        changed = change(VECTORS, generator())
        for t, rows in VECTORS.items():
            assert np.array_equal(np.sort(changed[t], axis=0), np.sort(rows, axis=0))
            assert not np.array_equal(changed[t], rows)


def test_rows_looked_up_by_repeated_numbers_are_those_of_the_last_type():
    mixed = benchmark.mix_types(VECTORS, generator())
    last = VECTORS[KG.node_types[-1]]
    first = KG.node_types[0]
    assert np.array_equal(mixed[first], last[: KG.count(first)])


@pytest.mark.parametrize("rank", [1, 2])
def test_projected_rows_have_the_chosen_rank(rank):
    for rows in benchmark.project(VECTORS, rank, generator()).values():
        values = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)
        assert (values > 0.1).sum() == rank


def test_repeated_means_of_neighbours_make_vectors_similar():
    before, after = (np.concatenate(list(v.values())) for v in (VECTORS, benchmark.smooth(KG, VECTORS, 8)))
    assert after.std(axis=0).mean() < 0.1 * before.std(axis=0).mean()


def test_the_table_counts_healthy_cases_that_fail_and_broken_cases_that_pass():
    def case(name, healthy, failed, loss):
        values = {"mean_cosine": 0.6, "components_at_90": 20, "final_loss": loss}
        return {
            "graph": "demo", "case": name, "healthy": healthy, "passed": not failed, "failed": failed,
            "leads": {"effective_rank": 1.0}, "values": values,
            "classic": {"mean_cosine": False, "components_at_90": True, "final_loss": loss and False},
        }  # fmt: skip

    text = benchmark.tables(
        [case("a", True, [], 0.5), case("b", True, ["effective_rank"], 0.5), case("c", False, [], None)]
    )
    assert "| **the gate** | 1 of 2 | 1 of 1 |" in text
    assert "| `effective_rank` alone | 1 of 2 | 1 of 1 |" in text
    assert "mean cosine at most 0.5 | 2 of 2 | 0 of 1 |" in text
    assert text.count("(**wrong**)") == 2
