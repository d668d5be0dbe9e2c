"""Look-ups by name or id give the same answers as the files of the run."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pair_models
import planted
import pytest
from script_runs import ScriptRun, record_all

from repurpose.candidates import questions
from repurpose.candidates.additions import AdditionFiles
from repurpose.config.sections import AnnotationSettings
from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.graph import graph, names
from repurpose.graph.graph import GraphFiles
from repurpose.ingest import annotations
from repurpose.pairs import review_tables
from repurpose.provenance import passed

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "query_candidates.py"


@pytest.fixture(name="results", scope="module")
def finished_run(tmp_path_factory):
    """A finished run on a small graph, with the files that look-ups read."""
    run = ScriptRun(tmp_path_factory.mktemp("run") / "results")
    run.begin(*planted.repurposing(90, 70))
    run.train_metapaths()
    run.train_baselines()
    run.train_classifier()
    run.train_contraindications()
    run.rank(per_tail=30, per_head=20)
    results = run.results
    files.write_json(results / "summary.json", {"passed": ["cpu"]})
    record_all(results)
    return results


@pytest.fixture(name="run", scope="module")
def opened(results):
    return questions.Run.as_ranked(results, "cpu")


def test_how_alike_the_lists_are_is_measured_on_the_new_candidates(results):
    lists = files.read_json(results / "candidates" / "cpu" / "lists.json")
    frame = files.read_table(results / "candidates" / "cpu" / "candidates.parquet").to_pandas()
    new = frame[frame["known"] == ""].groupby("tail_id").head(10)
    labelled = files.read_table(results / "pairs" / "pairs.parquet").to_pandas()
    treated = labelled.loc[labelled["label"] == 1, "tail_index"].unique()
    is_treated = new["tail_id"].isin([f"disease:{tail}" for tail in treated])
    assert 0 < is_treated.sum() < len(new)
    for name, rows in (("treated", new[is_treated]), ("untreated", new[~is_treated])):
        assert (lists[name]["lists"], lists[name]["places"]) == (rows["tail_id"].nunique(), len(rows))
        counts = rows["head_id"].value_counts()
        assert lists[name]["heads"] == len(counts)
        assert counts[lists[name]["most_common"]["id"]] == counts.max()


def ask(results, *arguments):
    command = [sys.executable, str(SCRIPT), "--results", str(results), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def named(**names):
    kg = planted.graph({"disease": len(names)}, [])
    column = np.array(list(names.values()), object)
    return graph.Graph(
        kg.node_types, {"disease": np.array(list(names), object)}, {"disease": column}, (), (), ()
    )


def test_a_node_is_found_by_its_id_and_by_its_name_in_any_case():
    kg = named(a="Type 2 diabetes", b="Asthma", asthma="Gout")
    assert [names.find(kg, "disease", text) for text in ("a", " type 2 DIABETES ", "Asthma")] == [0, 0, 1]
    # An id comes before a name.
    assert names.find(kg, "disease", "asthma") == 2


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("type 2 diabets", "did you mean Type 2 diabetes"),
        ("diabetes", "did you mean Type 2 diabetes"),
        ("zzz", "called zzz$"),
        ("  ", "called   $"),
    ],
)
def test_an_unknown_name_gives_an_error_with_the_nearest_names(text, near):
    with pytest.raises(InputError, match=near):
        names.find(named(a="Type 2 diabetes", b="Asthma"), "disease", text)


def test_a_name_of_several_nodes_asks_for_an_id():
    with pytest.raises(
        InputError, match=r"several nodes of type disease are called gout: ask for one of a, c$"
    ):
        names.find(named(a="Gout", b="Asthma", c="gout"), "disease", "gout")


def test_the_heads_of_a_disease_equal_those_in_the_file(results, run):
    table = files.read_table(results / "candidates" / "cpu" / "candidates.parquet").to_pylist()
    for tail in (0, 17, 69):
        rows = [row for row in table if row["tail_id"] == f"disease:{tail}"]
        assert run.heads_of(tail, 30, True).to_pylist() == rows
        new = [row for row in rows if not row["known"]]
        assert run.heads_of(tail, 5, False).to_pylist() == new[:5]


def test_known_pairs_do_not_reduce_the_number_of_new_ones(run):
    tail = int(np.bincount(run.annotator.known.tails).argmax())
    found = run.heads_of(tail, 12, False)
    assert found.num_rows == 12 and set(found["known"].to_pylist()) == {""}


def test_the_tails_of_a_drug_and_a_pair_agree_with_the_list_of_the_disease(run):
    best = run.tails_of(4, 3, True).to_pylist()
    # A drug's list is ordered by its own score; `score` is that of the disease's list.
    scores = [row["head_score"] for row in best]
    assert scores == sorted(scores, reverse=True) and [row["rank_of_disease_for_drug"] for row in best] == [
        1,
        2,
        3,
    ]
    row = run.pair(4, int(best[0]["tail_id"].split(":")[1]))
    assert row["score"] == pytest.approx(best[0]["score"], abs=1e-5) and row["of"] == 90
    of_tail = run.heads_of(int(best[0]["tail_id"].split(":")[1]), 90, True).to_pylist()
    assert (
        of_tail[row["rank_of_drug_for_disease"] - 1]["head_id"] == "drug:4"
        and best[0]["rank_of_drug_for_disease"] == row["rank_of_drug_for_disease"]
    )


def test_the_script_answers_in_text_and_in_json(results, run):
    done = ask(results, "--disease", "disease number 17", "--top", "4")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["rank", "models", "probability", "drug", "id", "main", "reason"]
    assert len(lines) == 7 and lines[5] == "" and "--pair has the whole explanation" in lines[6]
    known = int((run.annotator.known.tails == 17).sum())
    assert known and lines[6].startswith(f"{known} known pair")
    rows = json.loads(ask(results, "--disease", "disease:17", "--top", "4", "--json").stdout)
    assert all(row["head_name"] in line for row, line in zip(rows, lines[1:5], strict=True))
    with_known = ask(results, "--disease", "disease:17", "--top", "90", "--known").stdout
    assert "known" in with_known.splitlines()[0] and "not shown" not in with_known
    assert {"paths", "heads_of_tail", "tails_of_head", "caution"} <= set(rows[0])


def test_the_script_explains_a_pair(results):
    done = ask(results, "--pair", "drug:4", "disease number 17")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("drug number 4 (drug:4) for disease number 17 (disease:17)\nknown: ")
    for words in (
        "cpu: rank ",
        " of 90, ",
        "; probability of a known negative ",
        "most similar known treatments of disease number 17: ",
        "most similar that drug number 4 is known to treat",
    ):
        assert words in done.stdout
    (row,) = json.loads(ask(results, "--pair", "drug:4", "disease:17", "--json").stdout).values()
    assert f"rank {row['rank_of_drug_for_disease']} of 90" in done.stdout


def test_an_explanation_has_the_counterfactual_change_of_a_path_and_the_attention_of_the_encoder(run):
    row = run.pair(4, 17)
    names = {"nodes": ["a", "b"], "relations": ["biolink:binds"]}
    origins = [{"sources": ["one", "two"], "publications": ["PMID:1"]}]
    row["paths"] = [{"score": 0.5, "text": "a -[binds]-> b", "change": -0.251, **names, "origins": origins}]
    row["head_attention"] = [{"name": "b", "relation": "binds", "weight": 0.5}]
    lines = questions.dossier({"cpu": row}).splitlines()
    place = lines.index("  0.5  a -[binds]-> b  (score -0.25 without it)")
    assert lines[place + 1] == "      a - binds - b: one, two; PMID:1"
    assert lines[-1] == "edges of drug number 4 with the highest attention: b (binds, 0.5)"
    row["paths"][0]["change"], row["head_attention"] = None, None
    lines = questions.dossier({"cpu": row}).splitlines()
    assert "  0.5  a -[binds]-> b" in lines and "attention" not in lines[-1]


def test_the_main_reason_of_a_row_is_its_strongest_metapath_or_vote_or_else_a_path(run):
    row = run.pair(4, 17)
    row["paths"] = [{"text": "a -[binds]-> b", "change": 0.1}, {"text": "a -[binds]-> c", "change": -0.2}]
    row["reasons"] = [{"share": 0.5, "text": "drug -binds- gene", "voters": ["d for s"]}]
    row["caution"] = "popular"
    assert questions.listed([row], "head", "drug").endswith("+0.50  drug -binds- gene (d for s) (popular)")
    row["reasons"], row["caution"] = [], ""
    assert questions.listed([row], "head", "drug").endswith("a -[binds]-> c  (score -0.20 without it)")


def test_a_run_that_stopped_says_where_the_results_before_are(tmp_path):
    with pytest.raises(InputError, match=r"run the workflow first, or to its end, or give --results$"):
        passed.passed_in(tmp_path)
    (tmp_path / "previous").mkdir()
    (tmp_path / "previous" / "summary.json").write_text("{}")
    with pytest.raises(InputError, match=r"the results before are in .*previous$"):
        passed.passed_in(tmp_path)


def test_models_of_all_devices_are_counted_together(run):
    row = run.pair(4, 17)
    assert row["members"] == pair_models.SETTINGS.draws > 1
    rows = {"cpu": {**row, "listed_by": 1, "members": 3}, "mps": {**row, "listed_by": 3, "members": 3}}
    assert "among the 100 best by 4 of 6 models" in questions.dossier(rows).splitlines()
    alone = {"cpu": {**row, "listed_by": 1, "members": 1}}
    assert "among the" not in questions.dossier(alone)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("--disease", "disease number 177"),
            "Error: the graph has no disease called disease number 177; did you",
        ),
        (("--drug", "drug:4", "--device", "mps"), "Error: mps has no candidates; devices that passed"),
    ],
)
def test_a_question_that_cannot_be_answered_gets_one_sentence(results, arguments, sentence):
    done = ask(results, *arguments)
    assert done.returncode == 1 and done.stderr.startswith(sentence) and done.stderr.count("\n") == 1


def test_without_a_run_or_a_passed_device_the_script_says_so(tmp_path):
    assert "run the workflow first" in ask(tmp_path / "none", "--drug", "x").stderr
    files.write_json(tmp_path / "summary.json", {"passed": []})
    assert "no device passed its gate" in ask(tmp_path, "--drug", "x").stderr


def test_look_ups_rank_like_the_candidates_file_if_popularity_is_corrected(results, tmp_path):
    """Look-ups use the correction that the file was ranked with; without it, the ranks differ."""
    copied = tmp_path / "results"
    shutil.copytree(results, copied)
    table = ScriptRun(copied).rank(per_tail=30, per_head=20, correct_popularity=1.0)[0].to_pylist()
    run, plain = questions.Run.as_ranked(copied, "cpu"), questions.Run.as_ranked(results, "cpu")
    listed = [row for row in table if row["tail_id"] == "disease:17"]
    assert run.heads_of(17, 30, True).to_pylist() == listed
    assert plain.heads_of(17, 30, True).to_pylist() != listed
    pair = run.pair(int(listed[4]["head_id"].split(":")[1]), 17)
    assert pair["rank_of_drug_for_disease"] == 5 and pair["probability"] == listed[4]["probability"]


@pytest.fixture(name="annotated", scope="module")
def run_with_annotations(results, tmp_path_factory):
    """The same run with a status and a price of every drug in its candidates."""
    copy = Path(shutil.copytree(results, tmp_path_factory.mktemp("annotated") / "results"))
    kg = graph.load(GraphFiles.in_folder(copy / "graph"))
    rows = [
        f"{node_id},{('approved', 'withdrawn')[place % 2]},{place}"
        for place, node_id in enumerate(kg.node_ids["drug"])
    ]
    (copy / "about.csv").write_text("\n".join(["id,status,price", *rows]))
    settings = AnnotationSettings("x", "id", "head", [], "|", [])
    path = copy / "graph" / "annotations.parquet"
    files.write_table(path, annotations.read(copy / "about.csv", kg, planted.TARGET, settings))
    ranked = files.read_table(copy / "candidates" / "cpu" / "candidates.parquet").to_pandas()
    best = ranked[(ranked["tail_id"] == "disease:3") & (ranked["known"] == "")]["head_id"].iloc[0]
    text = f"head_id,tail_id,verdict,why\n{best},disease:3,plausible,well known\n"
    (copy / "reviews.csv").write_text(text)
    marks = review_tables.read(copy / "reviews.csv", kg, planted.TARGET.types, [])
    files.write_table(copy / "pairs" / "reviews.parquet", marks)
    added = AdditionFiles(path, copy / "pairs" / "reviews.parquet")
    ScriptRun(copy).rank(per_tail=30, per_head=20, additions=added)
    shutil.rmtree(copy / "records")
    record_all(copy)
    return copy


def test_lists_and_dossiers_show_annotations_and_lists_are_filtered_by_them(results, annotated):
    disease, top = "disease:3", 5
    listed = ask(annotated, "--disease", disease, "--top", str(top))
    assert listed.returncode == 0, listed.stderr
    assert {"status", "price"} <= set(listed.stdout.splitlines()[0].split())
    everything, kept = (
        json.loads(ask(annotated, "--disease", disease, "--json", *more).stdout)
        for more in (("--top", "90"), ("--top", str(top), "--only", "head_status=approved"))
    )
    # The ranks stay those among all drugs.
    expected = [row for row in everything if row["head_status"] == "approved"][:top]
    assert [row["head_id"] for row in kept] == [row["head_id"] for row in expected]
    assert [row["rank_of_drug_for_disease"] for row in kept] == [
        row["rank_of_drug_for_disease"] for row in expected
    ]
    head = kept[0]["head_id"]
    pair = ask(annotated, "--pair", head, disease).stdout
    assert f"about {kept[0]['head_name']}: status approved; price {kept[0]['head_price']}" in pair
    (reviewed,) = (row for row in everything if row["review"])
    assert (reviewed["review"], reviewed["review_note"]) == ("plausible", "well known")
    pair = ask(annotated, "--pair", reviewed["head_id"], disease).stdout
    assert "reviewed: plausible; well known" in pair
    of_drug = ask(annotated, "--drug", head, "--only", "head_status=approved")
    assert (
        of_drug.returncode == 1
        and "is not about the nodes that are listed; these have tail_" in of_drug.stderr
    )
    without = ask(results, "--disease", disease, "--only", "head_status=approved")
    assert without.returncode == 1 and "the candidates have no annotations to filter by" in without.stderr


def test_candidates_of_an_earlier_version_are_refused(results, tmp_path):
    copied = tmp_path / "results"
    shutil.copytree(results, copied)
    path = copied / "candidates" / "cpu" / "candidates.parquet"
    files.write_table(path, files.read_table(path).replace_schema_metadata({}))
    with pytest.raises(InputError, match=r"candidates\.parquet is of an earlier version"):
        questions.Run.as_ranked(copied, "cpu")


def test_reasons_are_the_metapaths_and_votes_that_raise_the_score_most(run):
    reasoner = run.device.explainer.reasoner
    assert run.device.model.weights.parts == ("trees", "kernel", "metapaths", "specificity")
    heads, tails = np.array([3, 50, 3, 17]), np.array([9, 9, 4, 60])
    many = reasoner.reasons(heads, tails, 1000)
    for reasons, few in zip(many, reasoner.reasons(heads, tails, 2), strict=True):
        shares = [reason["share"] for reason in reasons]
        assert min(shares, default=1) > 0 and shares == sorted(shares, reverse=True)
        assert [reason["text"] for reason in few] == [reason["text"] for reason in reasons][:2]
    # Together with the features that lower the score, they are the part of the score that metapaths carry.
    fitted, weights = reasoner.fitted, reasoner.weights
    features = fitted.features
    rows = features.at_pairs(features.block, heads, tails, features.count).T
    parts = fitted.of_pairs(heads, tails)
    specificity = parts[1] + fitted.model.head_means[heads]
    contributions = fitted.model.contributions(rows)
    assert contributions[1].sum(axis=1) == pytest.approx(specificity, abs=1e-3)
    total = [weights.of_tails(part, tails) for part in ("metapaths", "specificity")]
    shares = (np.stack(total)[:, :, None] * contributions).sum(axis=0)
    # A feature of which the pair has less than other heads of the tail is no reason.
    shares = np.where(rows > 0, shares, 0)
    assert sum(map(len, many)) > 3
    for pair, reasons in enumerate(many):
        assert sum(reason["share"] for reason in reasons) == pytest.approx(
            shares[pair][shares[pair] > 0].sum(), rel=1e-4
        )


def test_the_voters_of_a_reason_are_known_treatments(run):
    heads, tails = run.device.treated
    names = [run.kg.node_names[node_type] for node_type in run.target.types]
    treatments = {f"{names[0][h]} for {names[1][t]}" for h, t in zip(heads, tails, strict=True)}
    found = run.device.explainer.reasoner.reasons(np.arange(40), np.arange(40), 5)
    voters = [voter for reasons in found for reason in reasons for voter in reason["voters"]]
    assert len(voters) > 20 and set(voters) <= treatments


def test_a_dossier_shows_the_reasons(run):
    row = run.pair(12, 17)
    text = questions.dossier({"cpu": row})
    assert "metapaths and votes that raise the score most, with what they add to it:" in text
    assert row["reasons"] and all(reason["text"] in text for reason in row["reasons"])
