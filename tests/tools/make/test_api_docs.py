"""The pages that a tool makes are as it would make them now; the README keeps to its size."""

import re
from pathlib import Path

from tools.make import api_docs

ROOT = Path(__file__).parents[3]


def test_the_page_of_the_api_is_current():
    assert api_docs.API.read_text(encoding="utf-8") == api_docs.api_page(), "run python tools/make/api_docs.py"


def test_the_arrows_of_the_architecture_page_are_those_of_the_test():
    text = api_docs.ARCHITECTURE.read_text(encoding="utf-8")
    assert text == api_docs.architecture_page(text), "run python tools/make/api_docs.py"


def test_every_public_name_is_on_the_page():
    import gtalk

    text = api_docs.API.read_text(encoding="utf-8")
    for name in set(gtalk.__all__) - {"TrainEvent"}:
        assert f"## gtalk.{name}\n" in text
    assert "Traceback" not in text and "<class" not in text


def test_fields_and_sections_become_lists():
    import gtalk

    docs = dict(api_docs.field_docs(gtalk.Camera))
    assert docs["focal_px: float"] == ""
    told = api_docs.quoted("Says it.\n\nArgs:\n    a: one\n        more of it.\n")
    assert told == "Says it.\n\n- `a`: one\n  more of it.\n"
    assert "controls: Controls = Controls()" in api_docs.signature("predict", gtalk.Avatar.predict)


def test_the_readme_is_short_and_its_links_lead_somewhere():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count("\n") < 130 and text.index(".webp") < 600
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert link.startswith("http") or (page.parent / link).exists(), f"{page.name}: {link}"
