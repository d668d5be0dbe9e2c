"""Digests of code: a result is out of date when the code that computes it changes, and only then.

A digest covers the code that computes and the text that is written to results. It ignores comments,
docstrings, layout, and the text of errors and log lines.
"""

import ast
import contextlib
import functools
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

# This package records and reuses results; it does not change their content.
IGNORED_PACKAGE = "provenance"
LOGGING = ("logging", "warnings")
MOST_KEPT = 5000  # files in a store, most of them of earlier versions of the code
# Decorates a section of the config. A job gets the values of its fields as parameters, so these count.
SECTION = "section"


def digest(folder: str | Path, script: str, others: Iterable[str] = ()) -> str:
    """The first 16 digits of the SHA-256 of a script and all that it imports from `folder`, also indirectly.

    Scripts and modules count as syntax trees. `others` are further files in `folder`, such as templates; they
    count byte by byte.
    """
    folder = Path(folder)
    total = hashlib.sha256()
    for name, code in _reached(folder, script).items():
        total.update(f"{name}\n{code.code_digest}\n".encode())
    for name in others:
        total.update((folder / name).read_bytes())
    return total.hexdigest()[:16]


def modules(folder: Path, script: str) -> list[Path]:
    """The script and every file in `folder` that it imports, directly or indirectly, sorted."""
    return [folder / name for name in _reached(folder, script)]


class _Code(NamedTuple):
    """The digest of a file's code and the names that the file imports.

    imports: dotted names, each with its number of leading dots. `from a import b` imports the module a.b or a
    name that a defines; both are listed as a.b.
    """

    code_digest: str
    imports: frozenset[tuple[int, str]]


def _reached(folder: Path, script: str) -> dict[str, _Code]:
    """The script and every file in `folder` that it imports, by name within the folder, sorted."""
    files, reached, waiting = _files(folder), {}, [Path(script).as_posix()]
    store = _Store(folder / "__pycache__" / "digests.json")
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached[name] = store.code((folder / name).read_bytes())
            waiting += _imports(files, name, reached[name].imports)
    store.write()
    return dict(sorted(reached.items(), key=lambda item: Path(item[0])))


def _files(folder: Path) -> frozenset[str]:
    """The names of all Python files in a folder, relative to it, that count."""
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in (IGNORED_PACKAGE, "__pycache__")]
        inside = Path(place).relative_to(folder).as_posix()
        found += [name if inside == "." else f"{inside}/{name}" for name in names if name.endswith(".py")]
    return frozenset(found)


# The rules share most of their modules: look for the imports of each once.
@functools.cache
def _imports(files: frozenset[str], name: str, imports: frozenset[tuple[int, str]]) -> tuple[str, ...]:
    """Those of the files that Python runs for the imports of one: modules and the packages around them."""
    package, result = name.split("/")[:-1], []
    for level, dotted in imports:
        start = package[: len(package) - level + 1] if level else []
        parts = [*start, *dotted.split(".")] if dotted else start
        for end in range(1, len(parts) + 1):
            module = "/".join(parts[:end])
            result += [file for file in (f"{module}.py", f"{module}/__init__.py") if file in files]
    return tuple(dict.fromkeys(result))


class _Store:
    """The code of files by the SHA-256 of their content, kept between processes: parsing takes a second.

    What cannot be read or written is computed again.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.has_new = path, False
        self.kept = dict(_kept(path, *_state(path)))

    def code(self, content: bytes) -> _Code:
        """The code of a file."""
        key = hashlib.sha256(content).hexdigest()
        if key not in self.kept:
            self.kept[key], self.has_new = _read(content), True
        return self.kept[key]

    def write(self) -> None:
        """Keep what is new."""
        if not self.has_new:
            return
        if len(self.kept) > MOST_KEPT:
            self.kept = {}
        rows = {key: [code.code_digest, sorted(code.imports)] for key, code in self.kept.items()}
        # A folder that may not be written to, or a full disk, costs a second at the next start.
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.path.parent, suffix=".tmp")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({"made_by": _version(), "files": rows}, file)
            Path(temporary).replace(self.path)


def _state(path: Path) -> tuple[int, int]:
    """Time of the last change and size of a file; zeros if there is none."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


# A start asks for the digests of all rules: read the file once.
@functools.lru_cache(maxsize=4)
def _kept(path: Path, changed: int, size: int) -> dict[str, _Code]:
    """What a file of the store holds; nothing if it is damaged, or of another version of this module.

    changed, size: its state.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["made_by"] != _version():
            return {}
        return {
            key: _Code(str(row[0]), frozenset((int(level), str(name)) for level, name in row[1]))
            for key, row in content["files"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


@functools.cache
def _version() -> str:
    """Python and this module decide what a digest is."""
    return f"{sys.version_info[:2]} {hashlib.sha256(Path(__file__).read_bytes()).hexdigest()}"


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
