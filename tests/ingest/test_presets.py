"""The presets of public graphs read small files that have the published layout of these graphs."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest

import build_graph
from repurpose.config import settings
from repurpose.config.sections import GraphSettings, Target
from repurpose.core.errors import InputError
from repurpose.ingest import addresses

CONFIG = Path(__file__).parents[2] / "config"
PAIRS = range(12)


def tar(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def rows(*lines):
    return "".join("\t".join(line) + "\n" for line in lines)


def primekg():
    """Columns of kg.csv: the page that config/presets/primekg.yaml names."""
    columns = [f"{end}_{name}" for end in "xy" for name in ("index", "id", "type", "name", "source")]
    lines = [",".join(["relation", "display_relation", *columns])]
    gene, fifth = "7,7,gene/protein,G,NCBI", "5,5,disease,Fifth,MONDO"
    for i in PAIRS:
        drug, disease = f"{i},DB{i},drug,Drug {i},DrugBank", f"9{i},{i},disease,Disease {i},MONDO"
        for relation, head, tail in [
            ("indication", drug, disease),
            ("contraindication", drug, f"8{i},{i + 50},disease,Other {i},MONDO"),
            ("off-label use", drug, fifth),
            ("disease_protein", disease, gene),
            ("disease_disease", disease, fifth),
        ]:
            lines += [f"{relation},{relation},{head},{tail}", f"{relation},{relation},{tail},{head}"]
    return {"edges": "\n".join([*lines, ""]).encode()}


def hetionet():
    """Layout of hetnet/tsv/README.md."""
    edges = [("source", "metaedge", "target"), ("Gene::1", "Gr>G", "Gene::2")]
    nodes = [("id", "name", "kind"), ("Gene::1", "ABC1", "Gene"), ("Gene::2", "ABC2", "Gene")]
    for i in PAIRS:
        compound, disease = f"Compound::DB{i}", f"Disease::DOID:{i}"
        edges += [(compound, "CtD", disease), (compound, "CpD", "Disease::DOID:50")]
        edges += [(disease, "DaG", "Gene::1")]
        nodes += [(compound, f"Drug {i}", "Compound"), (disease, f"Disease {i}", "Disease")]
    return {"edges": gzip.compress(rows(*edges).encode()), "nodes": rows(*nodes).encode()}


def drkg():
    """Files and layout of the README of gnn4dr/DRKG."""
    edges = [("Gene::1", "Hetionet::Gr>G::Gene:Gene", "Gene::2")]
    for i in PAIRS:
        compound, disease = f"Compound::DB{i}", f"Disease::MESH:D{i}"
        edges += [(compound, "DRUGBANK::treats::Compound:Disease", disease)]
        edges += [(compound, "Hetionet::CtD::Compound:Disease", f"Disease::DOID:{i}")]
        edges += [(compound, "GNBR::T::Compound:Disease", disease)]
        edges += [(f"Disease::DOID:{i}", "Hetionet::DaG::Disease:Gene", "Gene::1")]
    others = {
        "./entity2src.tsv": rows(("Gene::1", "Hetionet")),
        "./relation_glossary.tsv": rows(("Relation-name", "Data-source"), ("GNBR::T", "GNBR")),
        "./embed/relations.tsv": rows(("GNBR::T::Compound:Disease", "0")),
        "./embed/entities.tsv": rows(("Gene::1", "0")),
        "./._drkg.tsv": "resource fork",
    }
    return {"edges": tar({"./drkg.tsv": rows(*edges), **others})}


def monarch():
    """Columns of the KGX specification, files of KG-Monarch."""
    genes = [("HGNC:1", "biolink:Gene", "ABC1"), ("HGNC:2", "biolink:Gene", "ABC2")]
    nodes = [("id", "category", "name"), *genes]
    edges = [("id", "subject", "predicate", "object", "negated", "primary_knowledge_source")]
    for i in PAIRS:
        drug, disease = f"MESH:C{i}", f"MONDO:{i}"
        nodes += [(drug, "biolink:ChemicalEntity", f"Drug {i}"), (disease, "biolink:Disease", f"D {i}")]
        for subject, predicate, end in [
            (drug, "treats_or_applied_or_studied_to_treat", disease),
            ("HGNC:1", "causes", disease),
            ("HGNC:2", "gene_associated_with_condition", disease),
            (disease, "subclass_of", "MONDO:0"),
        ]:
            if subject != end:
                edges += [(f"uuid:{len(edges)}", subject, f"biolink:{predicate}", end, "false", "infores:x")]
    return {"edges": tar({"monarch-kg_nodes.tsv": rows(*nodes), "monarch-kg_edges.tsv": rows(*edges)})}


# preset -> its small files, number of treatments
GRAPHS = {"primekg": (primekg, 12), "hetionet": (hetionet, 12), "drkg": (drkg, 24), "monarch": (monarch, 12)}


def read(folder, preset, files):
    """The graph and the ledger that the settings of a preset make of small files."""
    config = settings.load([CONFIG / "config.yaml", CONFIG / "presets" / f"{preset}.yaml"])
    paths = {"nodes": ""}
    for key, content in files.items():
        path = folder / addresses.parse(config[key]).name
        path.write_bytes(content)
        paths[key] = str(path)
    graph_settings, target = GraphSettings(**config["graph"]), Target(**config["target"])
    return config, build_graph.read(paths["edges"], paths["nodes"], graph_settings, target)


@pytest.mark.parametrize("preset", GRAPHS)
def test_a_preset_reads_the_published_layout(tmp_path, preset):
    make, treatments = GRAPHS[preset]
    config, (kg, ledger, _) = read(tmp_path, preset, make())
    target = config["target"]
    ends = {target["head_type"], target["tail_type"]}
    of_target = [kind for kind in kg.relations if {kind.head_type, kind.tail_type} == ends]
    positives = [kind for kind in of_target if kind.relation in target["positive"]]
    assert sum(kind.edges for kind in positives) == treatments
    named = {*target["positive"], *target["negative"]}
    assert {kind.relation for kind in of_target if kind.role == "target"} == named
    assert all(kind.role == "excluded" for kind in of_target if kind.relation not in named)
    of_tails = {
        kind.relation for kind in kg.relations if target["tail_type"] in (kind.head_type, kind.tail_type)
    }
    assert set(config["training"]["contrastive"]["relations"]) <= of_tails
    if target["hierarchy"]:
        (hierarchy,) = [kind for kind in kg.relations if kind.relation == target["hierarchy"]]
        assert hierarchy.head_type == hierarchy.tail_type == target["tail_type"]
    assert ledger["format"] == config["graph"]["format"]
    directed = {kind.relation for kind in kg.relations if kind.directed}
    assert directed == set(config["graph"]["directed_relations"])


@pytest.mark.parametrize("preset", ["primekg", "hetionet", "monarch"])
def test_names_are_read_where_the_graph_has_them(tmp_path, preset):
    config, (kg, _, _) = read(tmp_path, preset, GRAPHS[preset][0]())
    assert "Drug 3" in kg.node_names[config["target"]["head_type"]]


def test_of_an_archive_the_table_with_its_name_is_read(tmp_path):
    _, (kg, _, _) = read(tmp_path, "drkg", drkg())
    assert kg.node_types == ("Compound", "Disease", "Gene")
    others = {"a.tsv": rows(("Gene::1", "x", "Gene::2")), "b.tsv": rows(("Gene::1", "y", "Gene::3"))}
    with pytest.raises(InputError, match="choose from x, y"):
        read(tmp_path, "drkg", {"edges": tar(others)})
