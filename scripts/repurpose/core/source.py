"""Digests of code: a result is out of date when the code that computes it changes, and only then.

A digest covers the code that computes and the text that is written to results. It ignores comments,
docstrings, layout, and the text of errors and log lines.
"""

import ast
import functools
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

# This package records and reuses results; it does not change their content.
IGNORED_PACKAGE = "provenance"
LOGGING = ("logging", "warnings")
# Decorates a section of the config. A job gets the values of its fields as parameters, so these count.
SECTION = "section"


def digest(folder: str | Path, script: str, others: Iterable[str] = ()) -> str:
    """The first 16 digits of the SHA-256 of a script and all that it imports from `folder`, also indirectly.

    Scripts and modules count as syntax trees. `others` are further files in `folder`, such as templates; they
    count byte by byte.
    """
    folder = Path(folder)
    total = hashlib.sha256()
    for path in modules(folder, script):
        total.update(f"{path.relative_to(folder)}\n{_read(path.read_bytes()).code_digest}\n".encode())
    for name in others:
        total.update((folder / name).read_bytes())
    return total.hexdigest()[:16]


def modules(folder: Path, script: str) -> list[Path]:
    """The script and every file in `folder` that it imports, directly or indirectly, sorted."""
    reached, waiting = set(), [folder / script]
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting += _imports(folder, path)
    return sorted(reached)


def _imports(folder: Path, path: Path) -> Iterator[Path]:
    """The files that Python runs for the imports in one file: modules and the packages that contain them."""
    package = path.relative_to(folder).parent.parts
    for level, name in _read(path.read_bytes()).imports:
        start = package[: len(package) - level + 1] if level else ()
        parts = (*start, *name.split(".")) if name else start
        for end in range(1, len(parts) + 1):
            module = folder.joinpath(*parts[:end])
            for file in (module.with_suffix(".py"), module / "__init__.py"):
                if file.is_file() and IGNORED_PACKAGE not in file.relative_to(folder).parts:
                    yield file


class _Code(NamedTuple):
    """The digest of a file's code and the names that the file imports.

    imports: dotted names, each with its number of leading dots. `from a import b` imports the module a.b or a
    name that a defines; both are listed as a.b.
    """

    code_digest: str
    imports: frozenset[tuple[int, str]]


# The rules share most of their modules: parse each once.
@functools.cache
def _read(content: bytes) -> _Code:
    tree = _RemoveProse().visit(ast.parse(content))
    names: set[tuple[int, str]] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {(0, alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = [node.module] if node.module else []
            names |= {(node.level, ".".join([*module, alias.name])) for alias in node.names}
    return _Code(hashlib.sha256(ast.dump(tree).encode()).hexdigest(), frozenset(names))


class _RemoveProse(ast.NodeTransformer):
    """Removes docstrings and the text of errors and log lines from a syntax tree."""

    def visit_Module(self, node: ast.Module) -> ast.AST:
        return self._without_docstring(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        if any(getattr(decorator, "id", "") == SECTION for decorator in node.decorator_list):
            node.body = [child for child in node.body if not isinstance(child, ast.AnnAssign)]
        return self._without_docstring(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._without_docstring(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._without_docstring(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return _RemoveText().visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if _is_error(node.func) or _is_logging(node.func):
            return _RemoveText().visit(node)
        if getattr(node.func, "id", "") == "Field":
            node.keywords = [kept for kept in node.keywords if kept.arg not in ("title", "description")]
        return self.generic_visit(node)

    def _without_docstring(self, node: ast.AST) -> ast.AST:
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
        return self.generic_visit(node)


class _RemoveText(ast.NodeTransformer):
    """Removes all text from an expression but keeps its computations."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant("") if isinstance(node.value, str) else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        expressions = [value for value in node.values if isinstance(value, ast.FormattedValue)]
        return ast.JoinedStr([self.visit(expression) for expression in expressions])


def _is_error(called: ast.expr) -> bool:
    """Whether a call creates an exception: errors are often created in one place and raised in another."""
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    return name.endswith("Error")


def _is_logging(called: ast.expr) -> bool:
    return (
        isinstance(called, ast.Attribute)
        and isinstance(called.value, ast.Name)
        and called.value.id in LOGGING
    )
