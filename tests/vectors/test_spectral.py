"""The SVD as input of an encoder and as part of its vectors: computed from the given edges, of one scale."""

import dataclasses

import communities
import numpy as np
import planted
import pytest
import small_trainings
from sklearn.decomposition import PCA

from repurpose.core.errors import InputError
from repurpose.gate import quality
from repurpose.hgt import hgt
from repurpose.training import preparation
from repurpose.vectors import baselines, spectral

ENCODER = dataclasses.replace(small_trainings.ENCODER, embedding_dim=24, inputs="spectral", svd_dim=16)
KG = communities.build()


def prepared(encoder, seed=0):
    return preparation.prepare(small_trainings.job(seed, encoder, kg=KG))


def test_the_baseline_is_the_svd_of_all_message_edges():
    rows = spectral.rows(KG, KG.message_edges(), 8, 0)
    for node_type, baseline in baselines.svd(KG, 8, 0).items():
        assert np.array_equal(baseline, rows[KG.span(node_type)])


def find_start(kg, **changes):
    encoder = dataclasses.replace(ENCODER, hidden_dim=8, heads=2, **{"svd_dim": 0, **changes})
    return preparation.start(kg, kg.message_edges(), encoder, 0)


def two_drugs_with_edges():
    """A graph of nine drugs; only two of them have edges."""
    edges = [("drug", "binds", "gene", "message", [(0, 0), (1, 0), (1, 2)])]
    return planted.graph({"drug": 9, "gene": 12}, edges)


@pytest.mark.parametrize("inputs_setting", ["spectral", "blocks"])
def test_inputs_have_one_scale_and_leave_out_nodes_without_edges(inputs_setting):
    inputs_by_type = find_start(KG, inputs=inputs_setting)[0]
    for number, node_type in enumerate(KG.node_types):
        nodes, rows = inputs_by_type[number]
        assert np.array_equal(nodes, np.flatnonzero(KG.connected()[node_type]))
        assert np.sqrt((rows**2).mean()) == pytest.approx(0.5, rel=0.05)
    few = find_start(two_drugs_with_edges(), inputs=inputs_setting)[0]
    assert few[0][0].tolist() == [0, 1] and few[1][0].tolist() == [0, 2]


def test_on_a_small_graph_missing_columns_are_zeros():
    kg = planted.graph(
        {"drug": 2, "gene": 2}, [("drug", "binds", "gene", "message", [(0, 0), (1, 0), (1, 1)])]
    )
    _, rows = find_start(kg, inputs="spectral")[0][0]
    assert rows.shape == (2, 8) and not rows[:, 3:].any() and rows[:, :3].any()
    svd_rows = find_start(kg, inputs="blocks", svd_dim=16)[1].columns
    assert svd_rows.shape == (4, 16) and not svd_rows[:, 3:].any()


def test_a_training_starts_from_the_svd_of_only_its_training_edges():
    steps, prepared_composition = prepared(ENCODER)
    train = steps.objective.held.train
    inputs, composition = preparation.start(KG, train, ENCODER, 0)
    initial_inputs = steps.model.inputs.detach().numpy()
    for number, (nodes, rows) in inputs.items():
        assert np.array_equal(initial_inputs[nodes + steps.model.bounds[number]], rows)
    assert np.array_equal(prepared_composition.columns, composition.columns)
    assert sum(each.shape[1] for each in train) < sum(each.shape[1] for each in KG.message_edges())
    rows_of_all_edges = spectral.rows(KG, KG.message_edges(), 16, 0)
    assert not np.allclose(spectral.rows(KG, train, 16, 0), rows_of_all_edges, atol=1e-3)


def test_the_svd_of_a_relation_has_zero_rows_for_nodes_without_its_edges():
    kg = planted.graph(
        {"disease": 6, "drug": 5, "gene": 7},
        [
            ("drug", "binds", "gene", "message", [(0, 0), (1, 0), (1, 2), (2, 3)]),
            ("disease", "has", "gene", "message", [(0, 0), (3, 4), (4, 4)]),
            ("drug", "resembles", "drug", "message", [(0, 1), (1, 2)]),
        ],
    )
    disease, drug, gene = spectral.relation_rows(kg, kg.message_edges(), 3, 0)
    assert len(disease) == 1 and len(drug) == 2 and len(gene) == 2
    lengths = [np.linalg.norm(each, axis=1) for each in (disease[0], *drug)]
    assert lengths[0] == pytest.approx([1, 0, 0, 1, 1, 0])
    assert lengths[1] == pytest.approx([1, 1, 1, 0, 0]) and lengths[2] == pytest.approx([1, 1, 1, 0, 0])
    # Diseases 3 and 4 have the same single gene.
    assert disease[0][3] == pytest.approx(disease[0][4], abs=1e-5)


def test_components_are_those_of_scikit_learn():
    vectors = np.random.default_rng(0).normal(size=(40, 6)) * [5, 4, 3, 2, 1, 0.5]
    rows = spectral.components(vectors, 4, 0.5)
    expected = PCA(4).fit_transform(vectors)
    assert np.sqrt((rows**2).mean()) == pytest.approx(0.5, rel=1e-5)
    for ours, theirs in zip(rows.T, expected.T, strict=True):
        assert abs(np.corrcoef(ours, theirs)[0, 1]) == pytest.approx(1, abs=1e-5)


def test_the_effective_rank_counts_equal_directions_and_ignores_rounding_errors():
    assert spectral.effective_rank(np.array([2.0, 2.0, 2.0, 0.0]), 10.0) == pytest.approx(3)
    assert spectral.effective_rank(np.array([2.0, 0.0]), 10.0) == pytest.approx(1)
    assert spectral.effective_rank(np.array([1e-6, 1e-7]), 10.0) == 0.0
    assert spectral.effective_rank(np.array([0.0]), 0.0) == 0.0


def test_learned_inputs_start_from_the_random_values_of_the_model():
    learned = prepared(dataclasses.replace(ENCODER, inputs="learned")).steps.model
    assert np.array_equal(learned.inputs.detach().numpy(), hgt.build(KG, ENCODER, 0).inputs.detach().numpy())


@pytest.mark.parametrize("batching", ["full", "sampled"])
def test_vectors_hold_the_svd_and_the_encoder_output(batching):
    result, _ = small_trainings.fit(encoder=ENCODER, batching=batching, epochs=30)
    assert result.record["status"] == "completed"
    steps, _ = prepared(ENCODER)
    assert steps.model.outputs[0].out_features == 8
    vectors = np.concatenate([result.vectors[t] for t in KG.node_types])
    assert vectors.shape == (260, 24)
    svd_rows = spectral.rows(KG, steps.objective.held.train, 16, 0)
    assert vectors[:, :16] == pytest.approx(svd_rows * np.sqrt(8), abs=1e-6)
    # Both parts have the same length, so they weigh the same in a cosine.
    assert np.linalg.norm(vectors[:, 16:], axis=1) == pytest.approx(np.full(260, np.sqrt(8)), rel=0.02)


def test_an_encoder_without_room_for_its_svd_is_refused():
    with pytest.raises(InputError, match="leave none of the 16 numbers"):
        dataclasses.replace(ENCODER, embedding_dim=16)
    with pytest.raises(ValueError, match="'learned', 'spectral' or 'blocks'"):
        dataclasses.replace(ENCODER, inputs="constant")


@pytest.fixture(name="trained", scope="module")
def one_training():
    return small_trainings.fit(encoder=ENCODER)[0]


def test_the_encoder_output_is_compared_with_that_of_an_untrained_encoder(trained):
    links_by_encoder = quality.measure_layers(
        KG, trained.vectors, ENCODER, small_trainings.SETTINGS.valid_share, 0
    )
    means = {
        name: np.mean([link["auroc_degree_matched"] for link in links.values()])
        for name, links in links_by_encoder.items()
    }
    assert means["trained"] > means["untrained"] + 0.05
    # Neither the SVD columns nor the length of the encoder output changes the result.
    scaled = {t: np.concatenate([0 * v[:, :16], 3 * v[:, 16:]], axis=1) for t, v in trained.vectors.items()}
    links_of_scaled = quality.measure_layers(KG, scaled, ENCODER, small_trainings.SETTINGS.valid_share, 0)
    for name, link in links_of_scaled["trained"].items():
        assert link["auroc_degree_matched"] == pytest.approx(
            links_by_encoder["trained"][name]["auroc_degree_matched"], abs=0.01
        )
    zeroed = {
        t: np.concatenate([v[:, :16], np.zeros((len(v), 8))], axis=1) for t, v in trained.vectors.items()
    }
    links_of_zeros = quality.measure_layers(KG, zeroed, ENCODER, small_trainings.SETTINGS.valid_share, 0)[
        "trained"
    ]
    assert {link["auroc_degree_matched"] for link in links_of_zeros.values()} == {0.5}


def test_vectors_without_an_svd_part_are_not_compared_with_an_untrained_encoder():
    plain = dataclasses.replace(ENCODER, inputs="learned", svd_dim=0)
    assert quality.measure_layers(KG, {}, plain, small_trainings.SETTINGS.valid_share, 0) is None
