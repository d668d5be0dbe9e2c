"""Only the truth value true is a pass, whoever reads a verdict."""

import json

import pytest

import write_outcome
import write_summary
from repurpose.core.errors import InputError
from repurpose.gate import verdict

CHECK = {"name": "effective_rank", "reason": "it is 1.2", "passed": False}
UNCLEAR = ["false", "true", "no", 1, 0, None, [], {}, 1.0]


def written(tmp_path, **content):
    path = tmp_path / "verdict.json"
    path.write_text(json.dumps({"device": "cpu", "status": "completed", "checks": [], **content}))
    return path


def test_true_passes_and_false_does_not(tmp_path):
    assert verdict.has_passed(written(tmp_path, passed=True)) is True
    verdict.require_pass(written(tmp_path, passed=True), "cpu")
    path = written(tmp_path, passed=False, checks=[CHECK])
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
            relations=path,
            ledger=path,
            certificate=path,
            agreement=None,
            summary_out=path,
            report_out=path,
        ),
    ],
    ids=["read", "has_passed", "require_pass", "write_outcome", "write_summary"],
)
def test_anything_else_is_no_verdict_and_is_named_with_the_command_that_makes_it_anew(
    tmp_path, value, reader
):
    path = written(tmp_path, passed=value)
    with pytest.raises(InputError, match=r"verdict\.json is no verdict.*--forcerun .*verdict\.json"):
        reader(path)


def test_a_verdict_without_the_word_or_that_contradicts_itself_is_none(tmp_path):
    with pytest.raises(InputError, match="passed is not true or false"):
        verdict.read(written(tmp_path))
    with pytest.raises(InputError, match="passed is not true or false"):
        verdict.read(written(tmp_path, passed=False, checks=[{**CHECK, "passed": "false"}]))
    with pytest.raises(InputError, match="it passes although a check of it has failed"):
        verdict.read(written(tmp_path, passed=True, checks=[CHECK]))
    path = tmp_path / "verdict.json"
    path.write_text('["passed"]')
    with pytest.raises(InputError, match="it has no keys"):
        verdict.read(path)
