"""The command lines that run and are shown are ones that `gtalk` takes."""

import pytest

from gtalk import cli
from gtalk.studio import commands
from gtalk.studio.takes import Take
from tests.studio.films import film


def test_every_command_is_read_by_the_command_line_as_it_is_meant(tmp_path) -> None:
    take = Take.begin(tmp_path, "Ada", "I am Ada and agree.", "en")
    for part, seconds in (("read", 60.0), ("silence", 20.0), ("turn", 0.3), ("faces", 9.0)):
        take.put(part, 0, 0, "webm", film(tmp_path / "film.webm"))
        take.close(part, 0, "webm", 1, seconds, labels=[(1.0, 2.0, "happy")] if part == "faces" else ())
    made = cli._parsed(commands.train(take, tmp_path / "out", "cpu"))
    assert [clip.name for clip in made.clips] == ["read.0.webm", "silence.0.webm"], "the broken-off turn is left out"
    assert (made.person, made.consent, made.device, made.output) == (
        "Ada",
        "I am Ada and agree.",
        "cpu",
        tmp_path / "out",
    )
    assert made.expressions.name == "faces.0.webm" and made.labels.name == "faces.0.csv"
    avatar, sound = tmp_path / "av", tmp_path / "a b.wav"
    dub = cli._parsed(commands.dub(avatar, sound, tmp_path / "film.mp4"))
    assert (dub.avatar, dub.source, dub.config.overwrite) == (avatar, sound, True)
    assert cli._parsed(commands.evaluate(avatar)).html == avatar / "eval.html"
    share = cli._parsed(commands.share(avatar, tmp_path / "share", sound))
    assert (share.format, share.audio, share.overwrite) == ("web", sound, True)
    assert cli._parsed(commands.export(avatar, "glb", tmp_path / "a.glb")).format == "glb"
    assert cli._parsed(commands.view(avatar)).avatar == avatar
    assert commands.shown(["dub", "a b.wav"]) == "gtalk dub 'a b.wav'"


@pytest.mark.parametrize("kind", ["glb", "ply", "web"])
def test_formats_that_the_page_offers_exist(kind) -> None:
    from gtalk.export.formats import FORMATS

    assert kind in FORMATS
