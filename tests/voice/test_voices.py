"""Voices of every kind say what they are asked, with words in their places; those that fail are told."""

import http.server
import io
import json
import socket
import sys
import threading
import time
import wave
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.types import AUDIO_RATE
from gtalk.voice.utterance import Voice, words_at, words_by_length
from gtalk.voice.voices import Command, Endpoint, Espeak, open_voice, say_all


def wav(seconds: float) -> bytes:
    """Half a second of silence, a tone, half a second of silence."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, AUDIO_RATE, 0, "NONE", ""))
        silence = np.zeros(AUDIO_RATE // 2)
        tone = 0.5 * np.sin(np.arange(round(seconds * AUDIO_RATE)) * 0.2)
        file.writeframes((np.concatenate([silence, tone, silence]) * 32767).astype("<i2").tobytes())
    return out.getvalue()


class Answers(http.server.BaseHTTPRequestHandler):
    asked: list[tuple[dict, str | None]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        Answers.asked.append((body, self.headers["Authorization"]))
        bad = body["voice"] == "none"
        data = b'{"error": "no such voice"}' if bad else b"no sound" if body["voice"] == "liar" else wav(1.0)
        self.send_response(404 if bad else 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[str]:
    Answers.asked = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/v1/audio/speech"
        running.shutdown()


def test_espeak_tells_when_each_word_is_said() -> None:
    pytest.importorskip("espeakng_loader")
    said = Espeak().say("Hello there, it's 25 degrees. We finally know!")
    assert [word.text for word in said.words] == ["Hello", "there,", "it's", "25", "degrees.", "We", "finally", "know!"]
    starts = [word.start_s for word in said.words]
    assert starts == sorted(starts) and 0.5 < starts[6] / said.duration_s < 0.95
    assert said.phones is not None and abs(said.phones.ends_s[-1] - said.duration_s) < 0.3


def test_a_long_text_is_said_piece_by_piece_without_losing_a_word() -> None:
    pytest.importorskip("espeakng_loader")
    text = " ".join(f"This is sentence number {i}." for i in range(120))
    said = say_all(Espeak(words_per_minute=400), text)
    assert said.text == text and said.words.text == text
    starts = [word.start_s for word in said.words]
    assert starts == sorted(starts) and said.words.words[-1].end_s <= said.duration_s + 0.01
    with pytest.raises(UserError, match="nothing"):
        say_all(Espeak(), "  \n ")


def test_an_endpoint_is_asked_as_openais_is(server: str, monkeypatch) -> None:
    monkeypatch.setenv("GTALK_VOICE_KEY", "secret")
    voice = open_voice(f"{server}#af_heart")
    said = voice.say("One two three.")
    body, key = Answers.asked[0]
    assert body["input"] == "One two three." and body["voice"] == "af_heart" and body["response_format"] == "wav"
    assert key == "Bearer secret"
    assert abs(said.duration_s - 2.0) < 0.05
    assert [word.text for word in said.words] == ["One", "two", "three."]
    assert 0.45 < said.words.words[0].start_s < 0.6 and 1.4 < said.words.words[-1].end_s < 1.6


def test_an_endpoint_is_told_how_to_speak_where_somebody_says_so(server: str) -> None:
    open_voice(server, style="calm, a little amused").say("One.")
    open_voice(server).say("Two.")
    assert Answers.asked[0][0]["instructions"] == "calm, a little amused" and "instructions" not in Answers.asked[1][0]


def test_endpoints_that_fail_are_told(server: str) -> None:
    with pytest.raises(UserError, match="no such voice"):
        open_voice(f"{server}#none").say("Hello")
    with pytest.raises(UserError, match="bytes that are none"):
        open_voice(f"{server}#liar").say("Hello")
    with pytest.raises(UserError, match="endpoint that answers"):
        Endpoint("http://127.0.0.1:9/v1/audio/speech").say("Hello")


def test_an_endpoint_that_drips_is_given_up_when_its_time_is_over() -> None:
    def drip(listener: socket.socket) -> None:
        client, _ = listener.accept()
        with client, suppress(OSError):
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            for _ in range(200):  # never quiet for long
                client.sendall(b"R")
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip, args=(listener,), daemon=True).start()
        begin_s = time.monotonic()
        with pytest.raises(UserError, match=r"nothing whole within 0\.5 s"):
            Endpoint(f"http://127.0.0.1:{listener.getsockname()[1]}/v1/audio/speech", patience_s=0.5).say("Hello")
        assert time.monotonic() - begin_s < 5.0


def test_a_program_says_what_it_reads(tmp_path) -> None:
    (tmp_path / "a.wav").write_bytes(wav(1.0))
    program = tmp_path / "tts.py"
    program.write_text(
        "import sys, pathlib\n"
        "assert sys.stdin.read() == 'Hello; $(rm -rf x)'\n"
        f"sys.stdout.buffer.write(pathlib.Path({str(tmp_path / 'a.wav')!r}).read_bytes())"
    )
    said = open_voice(f"cmd:{sys.executable} {program}").say("Hello; $(rm -rf x)")
    assert abs(said.duration_s - 2.0) < 0.05
    with pytest.raises(UserError, match="status 1"):
        open_voice(f"cmd:{sys.executable} {program}").say("something else")
    with pytest.raises(UserError, match="answers within"):
        Command(("/no/such/program",)).say("Hello")
    with pytest.raises(UserError, match="answers within"):
        Command((sys.executable, "-c", "import time; time.sleep(30)"), patience_s=0.3).say("Hello")
    with pytest.raises(UserError, match="behind cmd:"):
        open_voice("cmd: ")


def test_a_name_says_what_kind_of_voice_it_is() -> None:
    assert open_voice() == Espeak("en-us", 165) and open_voice("de", 120) == Espeak("de", 120)
    assert open_voice("https://voices.example/v1/audio/speech") == Endpoint("https://voices.example/v1/audio/speech")
    assert all(isinstance(voice, Voice) for voice in (Espeak(), Endpoint(""), Command(("say",))))


def test_words_take_the_place_that_they_have() -> None:
    words = words_at("a b-c d", [(0, 0.1), (2, 0.5), (4, 0.7), (6, 0.9)], 1.2)
    assert words.plain() == [["a", 0.1, 0.5], ["b-c", 0.5, 0.9], ["d", 0.9, 1.2]]
    between = words_at("a b c", [(0, 0.0), (4, 1.0)], 1.5)
    assert between.plain()[1] == ["b", 0.5, 1.0]
    assert len(words_by_length("a b", np.zeros(100, np.float32))) == 0


def test_languages_are_said_by_the_names_that_are_offered() -> None:
    for name in ("en-gb", "fr-fr+m2"):
        assert open_voice(name).say("Ok.").duration_s > 0.1
