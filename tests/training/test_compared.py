"""Wrong names in training.contrastive.relations are refused, from relations.json alone."""

import json

import pytest

import check_names
from repurpose.core.errors import InputError
from repurpose.graph.graph import Relation
from repurpose.training import compared

RELATIONS = [
    Relation("disease", "disease_disease", "disease", 5, "message", False),
    Relation("drug", "drug_protein", "gene", 5, "message", False),
    Relation("gene", "has_gene", "disease", 5, "message", False),
    Relation("drug", "indication", "disease", 5, "target", False),
]


def test_relations_of_the_tails_and_none_at_all_are_accepted():
    for names in (["disease_disease"], ["has_gene", "disease_disease"], []):
        compared.require(RELATIONS, names, "disease")


@pytest.mark.parametrize("name", ["disease_protein", "drug_protein", "indication"])
def test_relations_that_are_no_messages_of_the_tails_are_refused_with_the_valid_names(name):
    with pytest.raises(InputError) as caught:
        compared.require(RELATIONS, ["has_gene", name], "disease")
    assert str(caught.value) == (
        f"training.contrastive.relations names {name}, which disease nodes do not have: "
        "name some of disease_disease, has_gene, or [] for none"
    )


def test_tails_without_any_relation_ask_for_an_empty_list():
    with pytest.raises(InputError, match=r"they have none, so write \[\]"):
        compared.require(RELATIONS[1:2], ["disease_protein"], "disease")


def test_the_script_reads_the_relations_alone(tmp_path):
    path, out = tmp_path / "relations.json", tmp_path / "compared.json"
    path.write_text(json.dumps([vars(relation) for relation in RELATIONS]))
    check_names.main(relations=path, checked_out=out, names=["has_gene"], tail_type="disease")
    assert json.loads(out.read_text()) == {"compared": ["has_gene"]}
    path.write_text('[{"relation": "has_gene"}]')
    with pytest.raises(InputError, match=r"relations\.json does not fit its graph"):
        check_names.main(relations=path, checked_out=out, names=["has_gene"], tail_type="disease")
