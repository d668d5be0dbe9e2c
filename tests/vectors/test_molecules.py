"""The program for fingerprints of molecules in docs/features.md, on twenty molecules; needs RDKit."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import planted
import pytest

from repurpose.vectors import features

PAGE = Path(__file__).resolve().parents[2] / "docs" / "features.md"
MOLECULES = {
    "aspirin": "CC(=O)Oc1ccccc1C(=O)O",
    "salicylic acid": "OC(=O)c1ccccc1O",
    "ibuprofen": "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
    "naproxen": "COc1ccc2cc(ccc2c1)C(C)C(=O)O",
    "paracetamol": "CC(=O)Nc1ccc(O)cc1",
    "caffeine": "Cn1cnc2c1c(=O)n(C)c(=O)n2C",
    "theophylline": "Cn1c(=O)c2[nH]cnc2n(C)c1=O",
    "nicotine": "CN1CCC[C@H]1c1cccnc1",
    "nicotinamide": "NC(=O)c1cccnc1",
    "isoniazid": "NNC(=O)c1ccncc1",
    "metformin": "CN(C)C(=N)N=C(N)N",
    "diazepam": "CN1c2ccc(Cl)cc2C(=NCC1=O)c1ccccc1",
    "amphetamine": "CC(N)Cc1ccccc1",
    "methamphetamine": "CNC(C)Cc1ccccc1",
    "dopamine": "NCCc1ccc(O)c(O)c1",
    "levodopa": "N[C@@H](Cc1ccc(O)c(O)c1)C(=O)O",
    "histamine": "NCCc1c[nH]cn1",
    "lidocaine": "CCN(CC)CC(=O)Nc1c(C)cccc1C",
    "procaine": "CCN(CC)CCOC(=O)c1ccc(N)cc1",
    "benzocaine": "CCOC(=O)c1ccc(N)cc1",
}
ALIKE = [("caffeine", "theophylline"), ("dopamine", "levodopa"), ("procaine", "benzocaine")]


def test_the_program_writes_vectors_in_which_like_molecules_are_near(tmp_path):
    pytest.importorskip("rdkit", reason="RDKit is not installed (pip install rdkit)")
    (program,) = (
        code for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S) if "rdkit" in code
    )
    number = {name: f"drug:{index}" for index, name in enumerate(MOLECULES)}
    rows = [f"{number[name]},{smiles}" for name, smiles in MOLECULES.items()]
    (tmp_path / "smiles.csv").write_text("\n".join(["node_id,smiles", *rows, "drug:20,no molecule"]) + "\n")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    kg, _ = planted.repurposing()
    found = features.read(tmp_path / "molecules.parquet", kg)["drug"]
    assert found.vectors.shape == (len(MOLECULES), 1024)
    is_set = dict(zip(MOLECULES, found.vectors[np.argsort(found.rows)] > 0, strict=True))

    def likeness(first: str, second: str) -> float:
        both = is_set[first] & is_set[second]
        return both.sum() / (is_set[first] | is_set[second]).sum()

    others = np.mean(
        [likeness(first, second) for first in MOLECULES for second in MOLECULES if first != second]
    )
    assert all(likeness(*pair) > 2 * others for pair in ALIKE)
