"""The import arrows of the design, read from the source."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "gtalk"

FOUNDATION = {
    "shapes", "errors", "progress", "files", "types", "basis", "topology", "config", "compute",
    "reading", "geometry",
}  # fmt: skip
ARROWS = {
    "ops": set(),
    "media": set(),
    "speech": {"media"},
    "voice": {"media", "speech"},
    "dataset": {"media"},
    "prepare": {"dataset", "media", "speech", "ops", "rig"},
    "render": {"ops"},
    "rig": set(),
    "avatar": {"render", "ops", "rig"},
    "fit": {"avatar", "dataset", "render", "ops", "rig"},
    "motion": {"dataset", "speech", "rig"},
    "hearing": {"media", "speech"},
    "direct": {"hearing", "motion", "rig", "speech", "voice"},
    "marks": {"media"},
    "talk": {"avatar", "marks", "motion", "media", "speech"},
    "dub": {"direct", "hearing", "marks", "talk", "motion", "media", "dataset", "prepare", "rig", "speech", "voice"},
    "scene": {"avatar", "direct", "dub", "hearing", "marks", "media", "motion", "speech", "talk", "viewer", "voice"},
    "viewer": {"direct", "export", "hearing", "hosting", "marks", "talk", "motion", "media", "speech", "voice"},
    "agents": {"direct", "marks", "media", "speech", "viewer", "voice"},
    "export": {"avatar", "marks", "talk", "motion", "media", "ops", "rig", "speech"},
    "eval": {"talk", "dataset", "media", "speech", "voice", "motion", "avatar", "prepare", "ops", "rig"},
    "hosting": set(),
    "studio": {"hosting", "marks", "media", "prepare", "viewer"},
    "serve": {"dub", "hosting", "motion", "talk", "viewer", "voice"},
    "edits": {"direct", "motion"},
    "making": {"avatar", "dataset", "fit", "marks", "media", "motion", "prepare", "rig"},
    "benchmark": {"avatar", "eval", "making"},
    "api": {"making", "marks", "talk", "dub", "motion", "prepare", "media", "avatar"},
}
ONLY_IN = {
    "av": {"media"},
    "viser": {"viewer"},
    "mediapipe": {"prepare"},
    "tyro": {"cli"},
    "rich": {"cli"},
    "pickle": set(),
}
LIGHT = {"ops", "rig", "render", "avatar", "fit", "dataset"}  # run where only torch, numpy, OpenCV and safetensors are
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


SOURCES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(ROOT.rglob("*.py"))}


def place(path: Path, node: ast.AST | None = None) -> str:
    """Where an offender stands, as a reader looks it up."""
    return f"gtalk/{path.relative_to(ROOT)}" + (f":{node.lineno}" if isinstance(node, (ast.stmt, ast.expr)) else "")


def strays(here: str, names: set[str]) -> list[str]:
    """What a room imports although the design does not let it."""
    found = [
        f"{n.split('.')[0]} is imported in {here}" for n in names if here not in ONLY_IN.get(n.split(".")[0], {here})
    ]
    if here in {"cli", "__init__", "__main__"}:
        return found
    allowed = FOUNDATION if here in FOUNDATION else FOUNDATION | ARROWS[here] | {here}
    rooms = {name.split(".")[1] for name in names if name.startswith("gtalk.")}
    rooms = {r for r in rooms if (ROOT / r).exists() or (ROOT / f"{r}.py").exists()}  # not a name of gtalk/__init__.py
    return found + [f"{here} must not import {there}" for there in rooms - allowed]


def test_imports_follow_the_arrows() -> None:
    offenders = [f"{place(p)}: {why}" for p, tree in SOURCES.items() for why in strays(room(p), imports(tree))]
    assert not offenders


def test_light_rooms_import_nothing_heavy_at_the_top() -> None:
    offenders = []
    for path, tree in SOURCES.items():
        top = ast.Module([node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))], [])
        heavy = {name.split(".")[0] for name in imports(top)} & HEAVY
        if heavy and room(path) in LIGHT | FOUNDATION:
            offenders.append(f"{place(path)}: {', '.join(sorted(heavy))}")
    assert not offenders


def test_files_and_functions_stay_small() -> None:
    """What is longer is split by idea."""
    lengths = {path: path.read_text(encoding="utf-8").count("\n") for path in SOURCES}
    offenders = [f"{place(path)}: {lines} lines" for path, lines in lengths.items() if lines > 420]
    for path, tree in SOURCES.items():
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                assert node.end_lineno is not None
                if node.end_lineno - node.lineno > 70:
                    offenders.append(f"{place(path, node)}: {node.name} is too long")
    assert not offenders


def test_every_option_is_read() -> None:
    """A field of a config that nothing reads is a promise that nothing keeps."""
    nodes = [(path, node) for path, tree in SOURCES.items() for node in ast.walk(tree)]
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


def test_public_functions_say_what_they_raise() -> None:
    """A docstring that speaks of no error promises that none of the user's making comes."""
    silent = []
    nodes = [(path, node) for path, tree in SOURCES.items() if room(path) != "cli" for node in ast.walk(tree)]
    for path, node in nodes:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            raised = [ast.unparse(n.exc) for n in ast.walk(node) if isinstance(n, ast.Raise) and n.exc is not None]
            words = ast.get_docstring(node) or ""
            if any(r.startswith(("UserError", "ValueError")) for r in raised) and not re.search("aise|rror", words):
                silent.append(f"{place(path, node)}: {node.name}")
    assert not silent


def test_nothing_imports_cli() -> None:
    others = {path: tree for path, tree in SOURCES.items() if room(path) not in {"cli", "__main__"}}
    assert not [place(p) for p, tree in others.items() if any(f"{n}.".startswith("gtalk.cli.") for n in imports(tree))]


def test_spans_are_never_measured_by_the_wall_clock() -> None:
    """It may jump: `time.monotonic` and `time.perf_counter` do not."""
    wall = {("time", "time"), ("datetime", "now"), ("datetime", "utcnow")}
    offenders = [
        place(path, node)
        for path, tree in SOURCES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and (node.value.id, node.attr) in wall
    ]
    assert not offenders


@pytest.mark.parametrize(
    ("rooms", "options"),
    [
        (["gtalk"], []),
        (["tools", "tests", "demo_person", "examples"], ["--exclude", "^$", "--ignore", "DEP002,DEP004"]),
    ],
    ids=["gtalk", "the rest"],
)
def test_what_is_imported_is_declared(rooms: list[str], options: list[str]) -> None:
    """And what the package declares, it imports."""
    command = [sys.executable, "-m", "deptry", "--no-ansi", *rooms, *options]
    run = subprocess.run(command, cwd=ROOT.parent, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
