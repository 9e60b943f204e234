"""The page's timeline in a real browser, with real mouse events: what is dragged onto a word is dubbed at that word."""

from gtalk.direct.score import Score
from gtalk.dub import DubConfig
from gtalk.dub.render import plan_dub
from gtalk.media.audio import write_wav
from gtalk.progress import silent
from gtalk.rig.shapes import index
from gtalk.talk import load_character
from gtalk.types import AUDIO_RATE, AudioTrack, Motion
from tests.support.toys import speech_like
from tests.viewer.chromium import Browser, needs_chromium
from tests.viewer.live_servers import live_server
from tools.check.timeline import wav_base64

WORDS = [["we", 0.4, 0.7], ["finally", 1.6, 2.2], ["did", 2.6, 2.9]]
SECONDS = 4.0


@needs_chromium
def test_a_smile_dragged_onto_a_word_is_dubbed_there(small_person, tmp_path) -> None:
    samples = speech_like(SECONDS)
    write_wav(tmp_path / "a.wav", AudioTrack(samples))
    with live_server(64) as (server, _):
        browser = Browser()
        try:
            browser.open(server.url)
            browser.wait("window.gtalk && window.gtalk.shown > 5")
            browser.run("document.getElementById('director').click()")
            file = f"Uint8Array.from(atob('{wav_base64(samples, AUDIO_RATE)}'), (c) => c.charCodeAt(0))"
            browser.run(f"gtalk.timeline.open(new File([{file}], 'a.wav'))")
            browser.wait(f"Math.abs(gtalk.timeline.ready - {SECONDS}) < 0.01")
            browser.run(f"gtalk.timeline.told({{words: {WORDS}}})")
            assert browser.run("document.querySelectorAll('#t-words span').length") == 3
            browser.run("document.getElementById('t-add').click()")
            bar = "document.querySelector('.t-event')"
            left, _, width, _ = browser.box("document.getElementById('t-lanes')")
            first = browser.run("gtalk.timeline.events[0].start")
            browser.drag(bar, left + width * (1.6 + 0.6) / SECONDS)  # its middle to where its start is at the word
            assert browser.run("gtalk.timeline.events[0].start") == 1.6, "it snaps to the word"
            browser.drag(bar, left + width * 2.4 / SECONDS, grip=0.999)
            assert abs(browser.run("gtalk.timeline.events[0].end") - 2.4) < 0.05
            browser.run("gtalk.timeline.undo(), gtalk.timeline.undo()")
            assert browser.run("gtalk.timeline.events[0].start") == first
            browser.drag(bar, left + width * (1.6 + 0.6) / SECONDS)
            browser.run("document.getElementById('t-say').value = \"nod at 'did'\"")
            browser.run("document.getElementById('t-instruct').click()")
            browser.wait("gtalk.timeline.events.length === 2")
            browser.run("document.getElementById('t-save').click()")
            browser.wait("gtalk.timeline.saved")
            text = browser.run("gtalk.timeline.saved")
            browser.run("document.getElementById('t-play').click()")
            browser.wait("gtalk.stats && gtalk.stats.speaking === 'directed speech'")
            browser.run("gtalk.command({do: 'read', text: 'version: 1\\nevents: [{track: emotion.hapy}]'})")
            browser.wait("gtalk.notice.includes('emotion.happy')")
            browser.run("gtalk.command({do: 'read', text: gtalk.timeline.saved})")
            browser.wait("gtalk.timeline.past.length && gtalk.timeline.events[0].start === 1.6")
        finally:
            browser.close()
    score = Score.parse(text)
    assert [event.track for event in score.events] == ["emotion.smile", "head.nod"] and len(score.words) == 3
    score.save(tmp_path / "x.score.yaml")
    config = DubConfig(height=64, score=tmp_path / "x.score.yaml")
    plan = plan_dub(load_character(small_person), tmp_path / "a.wav", config, silent)
    motion = Motion.concatenate([moment.motion for moment in plan.moments])
    smile = motion.channels["expression"][:, index("mouthSmileLeft")]
    assert smile[40:68].min() > 0.4 and smile[:24].max() == 0.0 and smile[88:].max() == 0.0
