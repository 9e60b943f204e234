from pathlib import Path

import pytest

from gtalk.agents.persona import Persona
from gtalk.errors import UserError


def test_a_persona_is_read(tmp_path: Path) -> None:
    path = tmp_path / "robin.yaml"
    path.write_text(
        "prompt: You are Robin.\nvoice: en-gb\nemotion: smile .3\ntemperature: 1\ngreeting: '[nod] Hello!'\n"
    )
    robin = Persona.load(path)
    assert robin.prompt == "You are Robin." and robin.temperature == 1 and robin.greeting == "[nod] Hello!"
    with pytest.raises(UserError, match="readable YAML"):
        Persona.load(tmp_path / "gone.yaml")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([1], "persona: expected a mapping"),
        ({"promt": "x"}, "Did you mean `prompt`"),
        ({"zzz": "x"}, "Remove it"),
        ({"prompt": 3}, "persona: prompt: expected text; got 3"),
        ({"style": "x" * 501}, "persona: style: expected at most 500 letters; got 501"),
        ({"temperature": "hot"}, "expected a number"),
        ({"temperature": 9.0}, "0 to 2; got 9.0"),
        ({"words_per_minute": True}, "a whole number"),
        ({"emotion": "flibber"}, r"tag \[flibber\]"),
        ({"greeting": "[flibber] Hello."}, r"tag \[flibber\]"),
        ({"voice": "gone.onnx"}, "a Piper voice"),
        ({"voice": "cmd:"}, "a program behind cmd:"),
        ({"prompt": "x" * 30_000}, "at most 20000 letters"),
    ],
)
def test_what_is_no_persona_is_a_sentence(content: object, says: str) -> None:
    with pytest.raises(UserError, match=says):
        Persona.of(content)
