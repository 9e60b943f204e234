"""Addresses, tokens and certificates of the server."""

import shutil
import ssl
import subprocess
import urllib.request

import pytest
import torch

from gtalk.errors import UserError
from gtalk.viewer.config import ViewConfig
from gtalk.viewer.server import LiveServer, drawing_threads
from tests.viewer.live_servers import live_server, toy_cast


@pytest.mark.parametrize(
    ("config", "start", "asks"),
    [
        (ViewConfig(), "http://127.0.0.1:", False),
        (ViewConfig(host="::1"), "http://[::1]:", False),
        (ViewConfig(token="abc"), "http://127.0.0.1:", True),
        (ViewConfig(host="0.0.0.0"), "http://localhost:", True),
        (ViewConfig(host="10.0.0.7"), "http://10.0.0.7:", True),
    ],
)
def test_others_than_loopback_ask_for_a_token(config: ViewConfig, start: str, asks: bool) -> None:
    server, other = LiveServer(toy_cast(16), config), LiveServer(toy_cast(16), config)
    assert server.url.startswith(start)
    assert ("?token=" in server.url) == asks
    if asks and config.token is None:
        assert server.token is not None
        assert len(server.token) >= 24
        assert server.token != other.token


@pytest.mark.parametrize("token", ["", "  ", "a\nb", "\x00"])
def test_a_token_that_is_none_is_refused(token: str) -> None:
    with pytest.raises(UserError, match="--token"):
        ViewConfig(token=token)


def test_the_printed_address_works_whatever_the_token() -> None:
    with live_server(32, token="a+b&c#d;e=f %41") as (server, _), urllib.request.urlopen(server.url) as answer:
        assert b"<title>gtalk" in answer.read()


@pytest.mark.parametrize("option", [{"jpeg_quality": 0}, {"size": 5}, {"max_sessions": 0}, {"threads": -1}])
def test_options_out_of_range_are_the_users_fault(option: dict[str, int]) -> None:
    with pytest.raises(UserError, match=next(iter(option)).replace("_", "-")):
        ViewConfig(**option)


def test_a_score_directs_what_is_played(tmp_path) -> None:
    with pytest.raises(UserError, match="--play"):
        ViewConfig(score=tmp_path / "x.score.yaml")


def test_gaussians_are_drawn_by_one_thread_unless_told_otherwise() -> None:
    assert drawing_threads("gaussian", 0) == 1
    assert drawing_threads("radiance", 0) == torch.get_num_threads()
    assert drawing_threads("gaussian", 3) == drawing_threads("radiance", 3) == 3


def test_a_certificate_makes_it_https(tmp_path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    with live_server(32, tls_cert=tmp_path / "cert.pem", tls_key=tmp_path / "key.pem") as (server, _):
        assert server.url.startswith("https://127.0.0.1:")
        trust = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        with urllib.request.urlopen(server.url, context=trust, timeout=10) as answer:
            assert b"<title>gtalk" in answer.read()


def test_a_bad_certificate_is_the_users_fault(tmp_path) -> None:
    (tmp_path / "cert.pem").write_text("no certificate")
    with pytest.raises(UserError, match="--tls-cert"):
        LiveServer(toy_cast(16), ViewConfig(port=0, tls_cert=tmp_path / "cert.pem"))


def test_images_stream_to_obs_as_mjpeg() -> None:
    with (
        live_server(32) as (server, _),
        urllib.request.urlopen(server.url + "live.mjpg", timeout=60) as stream,
    ):
        assert "multipart/x-mixed-replace" in stream.headers["Content-Type"]
        data = b""
        while data.count(b"--gtalk") < 5:
            data += stream.read(200)
        assert data.count(b"\xff\xd8\xff") >= 4, "JPEGs"
