"""The import arrows of the design, read from the source."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "gtalk"

FOUNDATION = {
    "shapes", "errors", "progress", "files", "types", "basis", "topology", "config", "threads", "reading", "geometry",
}  # fmt: skip
ARROWS = {
    "ops": set(),
    "media": set(),
    "speech": {"media"},
    "voice": {"media", "speech"},
    "dataset": {"media"},
    "prepare": {"dataset", "media", "speech", "ops"},
    "render": {"ops"},
    "avatar": {"render", "ops"},
    "fit": {"avatar", "dataset", "render", "ops"},
    "motion": {"dataset", "speech"},
    "talk": {"avatar", "motion", "media", "speech"},
    "dub": {"talk", "media", "dataset", "prepare"},
    "viewer": {"talk", "motion", "media", "speech", "voice"},
    "export": {"avatar", "talk", "media", "ops"},
    "eval": {"talk", "dataset", "media", "speech", "motion", "avatar", "prepare", "ops"},
}
ONLY_IN = {
    "av": {"media"},
    "viser": {"viewer"},
    "mediapipe": {"prepare"},
    "tyro": {"cli"},
    "rich": {"cli"},
    "pickle": set(),
}
LIGHT = {"ops", "render", "avatar", "fit", "dataset"}  # run where only torch, numpy, OpenCV and safetensors are
HEAVY = {"av", "mediapipe", "librosa", "viser", "tyro", "rich", "pocketsphinx", "pyworld", "scipy", "ray"}


def room(path: Path) -> str:
    """The top-level module or package of gtalk that a file belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> set[str]:
    """Dotted names that a tree imports, wherever the statement stands."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            assert node.module is not None
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
            assert all(alias.name != "*" for alias in node.names), f"star import in line {node.lineno}"
    return names


SOURCES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_follow_the_arrows(path: Path) -> None:
    here = room(path)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for name in imports(tree):
        parts = name.split(".")
        if parts[0] in ONLY_IN:
            assert here in ONLY_IN[parts[0]], f"{parts[0]} is imported in {here}"
        if parts[0] != "gtalk" or len(parts) < 2 or here in {"cli", "__init__", "__main__"}:
            continue
        there = parts[1]
        if not (ROOT / there).exists() and not (ROOT / f"{there}.py").exists():
            continue  # a name of gtalk/__init__.py
        allowed = FOUNDATION if here in FOUNDATION else FOUNDATION | ARROWS[here] | {here}
        assert there in allowed, f"{here} must not import {there}"


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if room(p) in LIGHT | FOUNDATION], ids=lambda p: str(p.relative_to(ROOT))
)
def test_light_rooms_import_nothing_heavy_at_the_top(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = ast.Module([node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))], [])
    assert not {name.split(".")[0] for name in imports(top)} & HEAVY


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 420, "split the file by idea"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno <= 70, f"{node.name} is too long"


def test_every_option_is_read() -> None:
    """A field of a config that nothing reads is a promise that nothing keeps."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}
    nodes = [(path, node) for path, tree in trees.items() for node in ast.walk(tree)]
    read = {node.attr for _, node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}
    read |= {node.value for _, node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    configs = [(p, n) for p, n in nodes if isinstance(n, ast.ClassDef) and n.name.endswith(("Config", "Options"))]
    dead = [
        f"{path.relative_to(ROOT)}: {node.name}.{line.target.id}"
        for path, node in configs
        for line in node.body
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.target.id not in read
    ]
    assert len(configs) > 10 and not dead


@pytest.mark.parametrize("path", [p for p in SOURCES if room(p) != "cli"], ids=lambda p: str(p.relative_to(ROOT)))
def test_public_functions_say_what_they_raise(path: Path) -> None:
    """A docstring that speaks of no error promises that none of the user's making comes."""
    silent = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            raised = [ast.unparse(n.exc) for n in ast.walk(node) if isinstance(n, ast.Raise) and n.exc is not None]
            words = ast.get_docstring(node) or ""
            if any(r.startswith(("UserError", "ValueError")) for r in raised) and not re.search("aise|rror", words):
                silent.append(node.name)
    assert not silent


def test_nothing_imports_cli() -> None:
    for path in SOURCES:
        if room(path) not in {"cli", "__main__"}:
            assert not any(
                f"{n}.".startswith("gtalk.cli.") for n in imports(ast.parse(path.read_text(encoding="utf-8")))
            )


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_spans_are_never_measured_by_the_wall_clock(path: Path) -> None:
    """It may jump: `time.monotonic` and `time.perf_counter` do not."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert (node.value.id, node.attr) not in {("time", "time"), ("datetime", "now"), ("datetime", "utcnow")}
