"""Digests of code, so that a result is stale when the code behind it changed and only then."""

import ast
import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path

PACKAGE = "repurpose"
# How results are kept says nothing of what is in them.
KEEPING = ("records.py", "shelf.py", "making.py", "runs.py")


def digest(folder: str | Path, script: str, others: Iterable[str] = ()) -> str:
    """SHA-256 over the syntax trees of a script and of all it imports from `folder`, directly or not.

    Comments, docstrings and layout do not count. `others` are further files in `folder` (templates)
    that count byte by byte.
    """
    folder = Path(folder)
    total = hashlib.sha256()
    for path in modules(folder, script):
        total.update(f"{path.relative_to(folder)}\n{_tree(path.read_bytes())}\n".encode())
    for name in others:
        total.update((folder / name).read_bytes())
    return total.hexdigest()[:16]


def modules(folder: Path, script: str) -> list[Path]:
    """The script and every file in `folder` that it imports, sorted."""
    found, waiting = set(), [folder / script]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _imports(folder, path)
    return sorted(found)


def _imports(folder: Path, path: Path) -> list[Path]:
    names = _imported(path.read_bytes())
    files = [folder.joinpath(*name.split(".")).with_suffix(".py") for name in names]
    packages = [folder / PACKAGE / "__init__.py"] if any(name.startswith(PACKAGE) for name in names) else []
    return [file for file in files + packages if file.is_file() and file.name not in KEEPING]


# The rules share most of their modules: each is read as code once.
@functools.cache
def _imported(content: bytes) -> frozenset[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(content)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


@functools.cache
def _tree(content: bytes) -> str:
    """Digest of the syntax tree of a file's content, without docstrings."""
    tree = ast.parse(content)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()
