"""The house rules that no linter knows: sizes, shapes, and who may name what."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "app").rglob("*.py"))
TEMPLATES = sorted(path for path in (ROOT / "templates").rglob("*") if path.is_file())

MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def nodes(path: Path, *kinds: type[ast.AST]) -> Iterator[ast.AST]:
    return (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_fits_in_the_head(path: Path) -> None:
    lines = path.read_text().count("\n")
    assert lines <= MAX_MODULE_LINES, f"{name_of(path)} has {lines} lines: split it by its nouns"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_function_fits_on_a_screen(path: Path) -> None:
    long = [
        f"{node.name} ({node.end_lineno - node.lineno + 1} lines)"
        for node in nodes(path, ast.FunctionDef, ast.AsyncFunctionDef)
        if node.end_lineno - node.lineno + 1 >= MAX_FUNCTION_LINES
    ]
    assert not long


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_there_are_no_inheritance_ladders() -> None:
    """One base at most, and a base of ours rests on none of ours. Errors form a tree, on purpose."""
    bases = {
        node.name: [ast.unparse(base).split("[")[0] for base in node.bases]
        for path in MODULES
        for node in nodes(path, ast.ClassDef)
    }

    def is_error(name: str) -> bool:
        return name.endswith(("Error", "Exception")) or any(is_error(base) for base in bases.get(name, ()))

    def steps(name: str) -> int:
        return 1 + max(map(steps, bases[name]), default=0) if name in bases else 0

    ladders = [name for name, named in bases.items() if not is_error(name) and (len(named) > 1 or steps(name) > 2)]
    assert not ladders


def test_only_adapters_and_settings_know_providers_by_name() -> None:
    def asks_for_the_provider(node: ast.AST) -> bool:
        sides = [node.subject] if isinstance(node, ast.Match) else [node.left, *node.comparators]
        return any(re.search(r"\bprovider$", ast.unparse(side)) for side in sides)

    found = [
        f"{name_of(path)}:{node.lineno}"
        for path in MODULES
        if not name_of(path).startswith(("app/providers/", "app/settings/"))
        for node in nodes(path, ast.Compare, ast.Match)
        if asks_for_the_provider(node)
    ]
    assert not found


def test_templates_escape_everything() -> None:
    """Sanitised HTML arrives as `Markup`; a template never vouches for a string itself."""
    unescaped = re.compile(r"\|\s*safe\b|autoescape\s+false|\{%-?\s*raw\b")
    found = [name_of(path) for path in TEMPLATES if unescaped.search(path.read_text())]
    assert not found


def test_imports_go_one_way() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    environment = {**os.environ, "NO_COLOR": "1"}
    result = subprocess.run(
        [program, "--no-cache"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
