"""Writes docs/api.md from docstrings, and the table of arrows in docs/architecture.md from the test that holds them.

python tools/make/api_docs.py            # a test tells when it is to be run again
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
API, ARCHITECTURE = ROOT / "docs" / "api.md", ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- arrows: made by tools/make/api_docs.py -->", "<!-- end of arrows -->"
FIRST = ("train", "load", "Avatar", "track", "write_video")
sys.path.insert(0, str(ROOT))
HEAD = """# gtalk from Python

    import gtalk

    for event in gtalk.train("me.mp4", out="me", consent=gtalk.Consent("Ann", "I am Ann and agree.")):
        print(event)
    me = gtalk.load("me", device="auto")
    motion = me.predict("speech.wav", seed=1)
    motion = gtalk.edits.Gaze(yaw_rad=0.2)(motion)
    frames = me.render(motion, size=512)
    gtalk.write_video("out.mp4", frames, fps=me.fps, audio="speech.wav")
    rgb, alpha, depth = me.render(motion[:4], camera=me.orbit(yaw_rad=0.2), background=None)
    for frame in me.stream(chunks):
        show(frame.rgb)

`examples/` has programs of this kind. `import gtalk` loads nothing; names are loaded when they are first used.
Whatever a caller can mend is a `gtalk.UserError` with one sentence: what was expected, what came, what to do.
This page is made from the docstrings by `tools/make/api_docs.py`.
"""
CONTROLS = """## Controls

The same names are flags of `gtalk dub`, `motion edit` and `view`, keys of a batch, and the viewer's panel.
"""


def api_page() -> str:
    """The whole of docs/api.md."""
    import gtalk
    from gtalk.edits import __all__ as edit_names
    from gtalk.motion.edits.controls import control_specs

    names = [*FIRST, *(n for n in gtalk.__all__ if n not in (*FIRST, "edits", "TrainEvent"))]
    parts = [HEAD, *(described(f"gtalk.{name}", getattr(gtalk, name)) for name in names)]
    parts.append("## gtalk.edits\n\n" + quoted(inspect.getdoc(gtalk.edits) or ""))
    parts += [
        described(f"gtalk.edits.{name}", getattr(gtalk.edits, name))
        for name in edit_names
        if name not in ("Controls", "EditFactory", "control_specs")
    ]
    parts.append(CONTROLS)
    rows = []
    for spec in control_specs():
        span = f"{spec.control.low:g} to {spec.control.high:g} {spec.control.unit}".rstrip()
        rows.append(f"| `{spec.name}` | {spec.default} | {span} | {spec.control.sentence} |")
    parts.append("\n".join(["| control | default | range | what it does |", "|---|---|---|---|", *rows]) + "\n")
    return "\n".join(parts)


def described(name: str, thing: object) -> str:
    """A heading, the signature, the docstring; of a class its fields and its public methods too."""
    if not inspect.isclass(thing):
        return f"## {name}\n\n{signature(name, thing)}\n{quoted(inspect.getdoc(thing) or '')}"
    lines = [f"## {name}\n", quoted(inspect.getdoc(thing) or "")]
    fields = field_docs(thing)
    if fields:
        lines.append("\n".join(f"- `{field}`{': ' if words else ''}{words}" for field, words in fields) + "\n")
    for member, value in vars(thing).items():
        if member.startswith("_") and not (member == "__call__" and inspect.getdoc(value)):
            continue
        if isinstance(value, property):
            lines.append(f"### {name}.{member}\n\n{quoted(inspect.getdoc(value) or '')}")
        elif isinstance(value, (staticmethod, classmethod)) or inspect.isfunction(value):
            function = value if inspect.isfunction(value) else value.__func__
            words = quoted(inspect.getdoc(function) or "")
            lines.append(f"### {name}.{member}\n\n{signature(member, function)}\n{words}")
    return "\n".join(lines)


def signature(name: str, function: object) -> str:
    """The call as Python, an argument a line where it is long."""
    found = inspect.signature(function)  # type: ignore[arg-type]
    parts: list[str] = []
    for argument in found.parameters.values():
        if argument.kind is argument.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        typed = "" if argument.annotation is argument.empty else f": {words_of(argument.annotation)}"
        default = "" if argument.default is argument.empty else f" = {value_of(argument.default)}"
        stars = {argument.VAR_POSITIONAL: "*", argument.VAR_KEYWORD: "**"}.get(argument.kind, "")
        parts.append(stars + argument.name + typed + default)
    result = "" if found.return_annotation is found.empty else f" -> {words_of(found.return_annotation)}"
    short = name.rpartition(".")[2]
    line = f"{short}({', '.join(parts)}){result}"
    if len(line) > 110:
        line = f"{short}(\n" + "".join(f"    {part},\n" for part in parts) + f"){result}"
    return f"```python\n{line}\n```\n"


def words_of(annotation: object) -> str:
    """A type as it stands in the source."""
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    return text.replace("np.ndarray", "ndarray")


def value_of(default: object) -> str:
    """A default; of a dataclass at its own defaults, its bare name."""
    if dataclasses.is_dataclass(default) and default == type(default)():  # type: ignore[operator]
        return f"{type(default).__name__}()"
    return getattr(default, "__name__", None) or repr(default)


def field_docs(kind: type) -> list[tuple[str, str]]:
    """(annotated field, docstring under it) of a class, in the order of the source."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    except (OSError, TypeError):
        return []
    found: list[tuple[str, str]] = []
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    for line, after in zip(body, [*body[1:], None], strict=True):
        if not (isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)) or line.target.id.startswith(
            "_"
        ):
            continue
        words = ""
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
            words = " ".join(after.value.value.split())
        annotation = ast.unparse(line.annotation).replace("np.ndarray", "ndarray").replace("'", '"')
        if annotation.startswith("Annotated["):
            annotation = ast.unparse(line.annotation.slice.elts[0])  # type: ignore[attr-defined]
        default = (
            f" = {ast.unparse(line.value)}" if isinstance(line.value, (ast.Constant, ast.Tuple, ast.UnaryOp)) else ""
        )
        found.append((f"{line.target.id}: {annotation}{default}", words))
    return found


def quoted(words: str) -> str:
    """A docstring as Markdown: its sections become lists."""
    out: list[str] = []
    for line in words.splitlines():
        stripped = line.strip()
        if stripped in ("Args:", "Returns:", "Raises:"):
            out += ["", f"*{stripped[:-1]}*", ""] if stripped != "Args:" else [""]
        elif line.startswith("    ") and not line.startswith("     ") and ": " in stripped and out and not code(out):
            name, _, rest = stripped.partition(": ")
            out.append(f"- `{name}`: {rest}")
        elif line.startswith("        "):
            out.append(f"  {stripped}")
        else:
            out.append(line)
    return re.sub("\n{3,}", "\n\n", "\n".join(out)).rstrip() + "\n"


def code(lines: list[str]) -> bool:
    """Whether the last lines are an indented example, which begins after an empty line."""
    before = [line for line in lines if line.strip()]
    return bool(before) and before[-1].startswith("    ")


def arrows_table() -> str:
    """Who may import whom, as a Markdown table."""
    from tests.test_architecture import ARROWS, FOUNDATION, ONLY_IN

    def named(names: set[str]) -> str:
        return ", ".join(f"`{name}`" for name in sorted(names)) or "nothing"

    rows = ["| room | may import, beside the foundation and itself |", "|---|---|"]
    rows += [f"| `{room}` | {named(known)} |" for room, known in ARROWS.items()]
    only = "; ".join(f"`{package}` in {named(rooms)}" for package, rooms in ONLY_IN.items())
    return "\n".join(
        [*rows, "", f"The foundation, which everybody may import: {named(FOUNDATION)}.", "",
         f"Packages that only some rooms may import: {only}."]
    )  # fmt: skip


def architecture_page(text: str) -> str:
    """docs/architecture.md with its table as it is today."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{arrows_table()}\n\n{END}{rest.partition(END)[2]}"


def main() -> None:
    """See the module's docstring."""
    API.write_text(api_page(), encoding="utf-8")
    ARCHITECTURE.write_text(architecture_page(ARCHITECTURE.read_text(encoding="utf-8")), encoding="utf-8")
    print(API, ARCHITECTURE)


if __name__ == "__main__":
    main()
