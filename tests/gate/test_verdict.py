"""Every reader of a verdict takes only the JSON value true for a pass."""

import json

import pytest

import write_outcome
import write_summary
from repurpose.config.sections import DatasetSettings
from repurpose.core.errors import InputError
from repurpose.gate import verdict

CHECK = {"name": "effective_rank", "reason": "it is 1.2", "passed": False}
UNCLEAR = ["false", "true", "no", 1, 0, None, [], {}, 1.0]


def write_verdict(tmp_path, **content):
    path = tmp_path / "verdict.json"
    path.write_text(json.dumps({"device": "cpu", "status": "completed", "checks": [], **content}))
    return path


def test_true_passes_and_false_does_not(tmp_path):
    assert verdict.has_passed(write_verdict(tmp_path, passed=True)) is True
    verdict.require_pass(write_verdict(tmp_path, passed=True), "cpu")
    path = write_verdict(tmp_path, passed=False, checks=[CHECK])
    assert verdict.has_passed(path) is False
    with pytest.raises(InputError, match=r"cpu did not pass the gate: effective_rank: it is 1\.2"):
        verdict.require_pass(path, "cpu")


@pytest.mark.parametrize("value", UNCLEAR)
@pytest.mark.parametrize(
    "reader",
    [
        verdict.read,
        verdict.has_passed,
        lambda path: verdict.require_pass(path, "cpu"),
        lambda path: write_outcome.main(
            verdict_in=path,
            training=path,
            embeddings=path,
            ranked_files={},
            outcome_out=path.with_name("out"),
        ),
        lambda path: write_summary.main(
            outcomes=[path],
            verdicts=[path],
            histories=[],
            maps=[],
            relations=path,
            ledger=path,
            certificate=path,
            agreement=None,
            pooled=None,
            about=None,
            chance=[],
            nodes=path,
            pairs=path,
            results=path.parent,
            top=5,
            dataset=DatasetSettings(),
            summary_out=path,
            report_out=path,
            card_out=path,
            methods_out=path,
        ),
    ],
    ids=["read", "has_passed", "require_pass", "write_outcome", "write_summary"],
)
def test_any_other_value_is_an_error_that_names_the_file_and_the_command_to_make_it_again(
    tmp_path, value, reader
):
    path = write_verdict(tmp_path, passed=value)
    with pytest.raises(InputError, match=r"verdict\.json is not a verdict.*--forcerun .*verdict\.json"):
        reader(path)


def test_a_verdict_without_passed_or_with_a_contradiction_is_an_error(tmp_path):
    with pytest.raises(InputError, match="passed is not true or false"):
        verdict.read(write_verdict(tmp_path))
    with pytest.raises(InputError, match="passed is not true or false"):
        verdict.read(write_verdict(tmp_path, passed=False, checks=[{**CHECK, "passed": "false"}]))
    with pytest.raises(InputError, match="it passes although a check of it has failed"):
        verdict.read(write_verdict(tmp_path, passed=True, checks=[CHECK]))
    path = tmp_path / "verdict.json"
    path.write_text('["passed"]')
    with pytest.raises(InputError, match="it has no keys"):
        verdict.read(path)
