"""The rooms of the workshop: who may use whom, and one name for one thing."""

import ast
from collections import Counter, defaultdict
from graphlib import TopologicalSorter
from pathlib import Path

from _config.chapters.files import ROOT

ROOMS = ["chapters", "library", "ledger", "runs", "site"]
WORKSHOP = ROOT / "_config"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted(WORKSHOP.rglob("*.py"))
}
# Sphinx and the commands ask for these by name; each module has its logger.
HOOKS = {"setup", "main", "logger"}


def imported(path: Path) -> set[str]:
    """The workshop's modules that a module imports, wherever it does."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & {*MODULES} or {node.module}
    return found & {*MODULES}


def room(module: str) -> int:
    """The number of a module's room; the doors stand behind the last."""
    name = module.split(".")[1] if "." in module else ""
    return ROOMS.index(name) if name in ROOMS else len(ROOMS)


def test_a_room_uses_only_those_above_it():
    wrong = [
        f"{module} uses {other}"
        for module, path in MODULES.items()
        for other in imported(path)
        if room(other) > room(module)
    ]
    assert wrong == []


def test_no_module_imports_itself_in_a_circle():
    graph = {module: imported(path) for module, path in MODULES.items()}
    TopologicalSorter(graph).prepare()


def test_a_module_is_called_as_no_other():
    rooms = [module for module in MODULES if room(module) < len(ROOMS)]
    names = Counter(module.rpartition(".")[2] for module in rooms)
    assert [
        n for n, count in names.items() if count > 1 and n[:2] != "__"
    ] == []


def test_a_name_stands_for_one_thing():
    places = defaultdict(list)
    for module, path in MODULES.items():
        if ".kernel." in module:  # it runs apart, without the workshop
            continue
        for node in ast.parse(path.read_text("utf-8")).body:
            match node:
                case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                    places[name].append(f"{module}.{name}")
                case ast.Assign([ast.Name(name)]):
                    places[name].append(f"{module}.{name}")
    twice = {
        name: found
        for name, found in places.items()
        if len(found) > 1 and name not in HOOKS and name != "__init__"
    }
    assert twice == {}
