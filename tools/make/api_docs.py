"""Writes docs/api.md from docstrings, and the table of arrows in docs/architecture.md from the test that holds them.

python tools/make/api_docs.py            # a test tells when it is to be run again
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
API, ARCHITECTURE = ROOT / "docs" / "api.md", ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- arrows: made by tools/make/api_docs.py -->", "<!-- end of arrows -->"
FIRST = ("train", "load", "Avatar", "track", "write_video")
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

`examples/` has six programs of this kind. `import gtalk` loads nothing; names are loaded when they are first used.
Whatever a caller can mend is a `gtalk.UserError` with one sentence: what was expected, what came, what to do.
This page is made from the docstrings by `tools/make/api_docs.py`.
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
    parts.append("## Controls\n\nThe same names are flags of `gtalk dub`, `motion edit` and `view`, keys of a batch, and the viewer's panel.\n")
    rows = [
        f"| `{s.name}` | {s.default} | {s.control.low:g} to {s.control.high:g} {s.control.unit} | {s.control.sentence} |"
        for s in control_specs()
    ]
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
            lines.append(f"### {name}.{member}\n\n{signature(member, function)}\n{quoted(inspect.getdoc(function) or '')}")
    return "\n".join(lines)


def signature(name: str, function: object) -> str:
    """The call as Python, an argument a line where it is long."""
    text = str(inspect.signature(function)).replace("'", "").replace("np.ndarray", "ndarray")  # type: ignore[arg-type]
    line = name.rpartition(".")[2] + text
    if len(line) > 110:
        arguments, _, result = text[1:].rpartition(") -> ")
        line = f"{name.rpartition('.')[2]}(\n" + "".join(f"    {a},\n" for a in split(arguments)) + f") -> {result}"
    return f"```python\n{line}\n```\n"


def split(arguments: str) -> list[str]:
    """Arguments apart, at commas that stand in no bracket."""
    parts, depth = [""], 0
    for letter in arguments:
        depth += (letter in "[(") - (letter in "])")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def field_docs(kind: type) -> list[tuple[str, str]]:
    """(annotated field, docstring under it) of a class, in the order of the source."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    except (OSError, TypeError):
        return []
    found: list[tuple[str, str]] = []
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    for line, after in zip(body, [*body[1:], None], strict=True):
        if not (isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)) or line.target.id.startswith("_"):
            continue
        words = ""
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
            words = " ".join(after.value.value.split())
        annotation = ast.unparse(line.annotation).replace("np.ndarray", "ndarray").replace("'", '"')
        if annotation.startswith("Annotated["):
            annotation = ast.unparse(line.annotation.slice.elts[0])  # type: ignore[attr-defined]
        default = f" = {ast.unparse(line.value)}" if isinstance(line.value, (ast.Constant, ast.Tuple, ast.UnaryOp)) else ""
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
    return "\n".join(out).rstrip() + "\n"


def code(lines: list[str]) -> bool:
    """Whether the last lines are an indented example, which begins after an empty line."""
    before = [line for line in lines if line.strip()]
    return bool(before) and before[-1].startswith("    ")


def arrows_table() -> str:
    """Who may import whom, as a Markdown table."""
    sys.path.insert(0, str(ROOT))
    from tests.test_architecture import ARROWS, FOUNDATION, ONLY_IN

    rows = ["| room | may import, beside the foundation and itself |", "|---|---|"]
    rows += [f"| `{room}` | {', '.join(f'`{r}`' for r in sorted(known)) or 'nothing'} |" for room, known in ARROWS.items()]
    words = ", ".join(f"`{name}`" for name in sorted(FOUNDATION))
    only = "; ".join(f"`{name}` in {' and '.join(f'`{r}`' for r in sorted(rooms)) or 'nothing'}" for name, rooms in ONLY_IN.items())
    return "\n".join([*rows, "", f"The foundation, which everybody may import: {words}.", "", f"Packages that only some rooms may import: {only}."])


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
