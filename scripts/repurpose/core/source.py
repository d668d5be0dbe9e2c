"""Digests of code, so that a result is stale when the code behind it changed and only then.

What counts is what computes, and the text that is written to results. Comments, docstrings, layout, the
sentences of errors and the lines of the log do not count.
"""

import ast
import functools
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

# How results are kept says nothing of what is in them.
KEEPING = "provenance"
LOGGING = ("logging", "warnings")


def digest(folder: str | Path, script: str, others: Iterable[str] = ()) -> str:
    """SHA-256 over the syntax trees of a script and of all it imports from `folder`, directly or not.

    `others` are further files in `folder` (templates) that count byte by byte.
    """
    folder = Path(folder)
    total = hashlib.sha256()
    for path in modules(folder, script):
        total.update(f"{path.relative_to(folder)}\n{_read(path.read_bytes()).computes}\n".encode())
    for name in others:
        total.update((folder / name).read_bytes())
    return total.hexdigest()[:16]


def modules(folder: Path, script: str) -> list[Path]:
    """The script and every file in `folder` that it imports, sorted."""
    reached, waiting = set(), [folder / script]
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting += _imports(folder, path)
    return sorted(reached)


def _imports(folder: Path, path: Path) -> Iterator[Path]:
    """The files that Python runs for the imports of one: modules, and the packages that they lie in."""
    package = path.relative_to(folder).parent.parts
    for level, name in _read(path.read_bytes()).imports:
        start = package[: len(package) - level + 1] if level else ()
        parts = (*start, *name.split(".")) if name else start
        for end in range(1, len(parts) + 1):
            place = folder.joinpath(*parts[:end])
            for file in (place.with_suffix(".py"), place / "__init__.py"):
                if file.is_file() and KEEPING not in file.relative_to(folder).parts:
                    yield file


class _Code(NamedTuple):
    """What a digest needs of a file: the digest of what computes, and what is imported.

    imports: dotted names, each with its number of leading dots. `from a import b` may mean the module a.b
    or what a defines: it is a.b here.
    """

    computes: str
    imports: frozenset[tuple[int, str]]


# The rules share most of their modules: each is read as code once.
@functools.cache
def _read(content: bytes) -> _Code:
    tree = _Computing().visit(ast.parse(content))
    names: set[tuple[int, str]] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {(0, alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = [node.module] if node.module else []
            names |= {(node.level, ".".join([*module, alias.name])) for alias in node.names}
    return _Code(hashlib.sha256(ast.dump(tree).encode()).hexdigest(), frozenset(names))


class _Computing(ast.NodeTransformer):
    """Takes docstrings and the words of errors and of log lines out of a syntax tree."""

    def visit_Module(self, node: ast.Module) -> ast.AST:
        return self._without_docstring(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._without_docstring(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._without_docstring(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._without_docstring(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return _Wordless().visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if _is_error(node.func) or _is_logging(node.func):
            return _Wordless().visit(node)
        return self.generic_visit(node)

    def _without_docstring(self, node: ast.AST) -> ast.AST:
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
        return self.generic_visit(node)


class _Wordless(ast.NodeTransformer):
    """Takes all text out of an expression, and leaves what it computes."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant("") if isinstance(node.value, str) else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        shown = [part for part in node.values if isinstance(part, ast.FormattedValue)]
        return ast.JoinedStr([self.visit(part) for part in shown])


def _is_error(called: ast.expr) -> bool:
    """Whether a call makes an exception: a sentence is often made in one place and raised in another."""
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    return name.endswith("Error")


def _is_logging(called: ast.expr) -> bool:
    return (
        isinstance(called, ast.Attribute)
        and isinstance(called.value, ast.Name)
        and called.value.id in LOGGING
    )
