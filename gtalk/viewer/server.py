"""`gtalk view`: puts the conversations, their sources and their host together."""

from __future__ import annotations

import logging
import math
import secrets
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import torch

from gtalk.compute.threads import compute_on
from gtalk.direct.live_keys import LiveKeys
from gtalk.direct.recipes import check_own
from gtalk.direct.score import Score
from gtalk.direct.score_edit import ScoreEdit
from gtalk.errors import UserError
from gtalk.hosting.budget import QuietLog
from gtalk.hosting.ending import wait_until_ended
from gtalk.hosting.gate import is_loopback, page_key
from gtalk.hosting.host import Host, port_taken, tls_context
from gtalk.marks.identity import NOBODY, Identity
from gtalk.marks.provenance import can_sign, provenance_tags
from gtalk.motion.base import EditFactory
from gtalk.motion.edits.emotion import no_voice
from gtalk.motion.model.model import PersonMotionModel
from gtalk.talk import View
from gtalk.talk.load import Character, load_character
from gtalk.viewer.audio.sources import FileSource, check_rate
from gtalk.viewer.config import ViewConfig
from gtalk.viewer.live.recorder import RECORDING
from gtalk.viewer.live.sessions import HostedSession, Leave, SessionManager, TalkerFactory
from gtalk.viewer.outlets.opened import open_outlets
from gtalk.viewer.webrtc.ice import ice_servers
from gtalk.voice.synthesis import Speaker


class LiveServer:
    """Everything behind one port. `start` returns when visitors are welcome; `stop` ends it all."""

    def __init__(
        self,
        cast: TalkerFactory,
        config: ViewConfig,
        report: Callable[[str], None] | None = None,
        identity: Identity = NOBODY,
        leaving: Leave | None = None,
    ) -> None:
        if config.sign_cert is not None and config.sign_key is not None:
            can_sign(Path(RECORDING), config.sign_cert, config.sign_key)
        self.config, self._report = config, QuietLog(report or _report)
        self.token = config.token or (None if is_loopback(config.host) else secrets.token_urlsafe(18))
        secret = secrets.token_hex(16)
        self.key = page_key(config.token or secret)  # of the token it is the same after a restart
        speaker = Speaker(config.piper_voice)
        self.rooms = SessionManager(cast, identity, config, speaker, self.key, self._report, leaving=leaving)
        self.hosted = Host(
            self.rooms.routes(), config.host, token=self.token, key=self.key, report=self._report,
            tls=tls_context(config.tls_cert, config.tls_key), lifespan=self.rooms.lifespan,
        )  # fmt: skip

    @property
    def main(self) -> HostedSession:
        """The conversation of the page at /."""
        return self.rooms.main

    @property
    def url(self) -> str:
        """Address of the page."""
        return self.hosted.url

    @property
    def port(self) -> int:
        """Where it listens; 0 before it does."""
        return self.hosted.port

    def start(self) -> None:
        """Open the port. Raises UserError when it is taken."""
        try:
            self.hosted.start(self.config.port)
        except OSError as error:
            raise port_taken(self.config.port, self.config.host, error) from error

    def stop(self) -> None:
        """Close the port and end every conversation."""
        self.hosted.stop()


def serve(
    avatar_folder: Path,
    config: ViewConfig,
    on_open: Callable[[HostedSession], Callable[[], None]] | None = None,
) -> None:
    """Open an avatar in the browser until interrupted. `on_open`: as of `SessionManager`."""
    serve_cast(*cast_of(avatar_folder, config), config, on_open)


def serve_cast(
    cast: TalkerFactory,
    identity: Identity,
    config: ViewConfig,
    on_open: Callable[[HostedSession], Callable[[], None]] | None = None,
    leaving: Leave | None = None,
) -> None:
    """`serve` with talkers that are made already. `leaving`: marks their pictures; by default as of one avatar."""
    check_rate(config.stdin_rate)
    first = None if config.play is None else FileSource(config.play)
    score = Score() if config.score is None else Score.load(config.score)
    talker = cast()
    model = talker.motion_model
    check_own(score.events, model.expressions if isinstance(model, PersonMotionModel) else {})
    compute_on(drawing_threads(talker.avatar.kind, config.threads))
    server = LiveServer(cast, config, identity=identity, leaving=leaving)
    server.rooms.on_open = on_open
    server.start()
    address, _, query = server.url.partition("?")
    query = "?" + query if query else ""
    _report(f"open {server.url}   (Ctrl-C ends)")
    _report(f"OBS and players: {address}live.mjpg{query}   speech from a program: ws{address[4:]}push{query}")
    with ExitStack() as cleanup:
        cleanup.callback(server.stop)
        _open_source(config, server, cleanup)
        for end in open_outlets(
            server.main.session, config.out, _report, label=config.label == "on",
            tags=provenance_tags(identity, config.label), ice=ice_servers(config.ice),
        ):  # fmt: skip
            cleanup.callback(end)
        if first is not None:
            server.main.session.perform(first, score, math.inf)
        wait_until_ended(_report)


def drawing_threads(kind: str, wanted: int) -> int:
    """How many threads draw: `wanted`, or where that is 0 what an avatar of this `kind` needs.

    Threads of OpenMP wait for the next image by spinning: two for Gaussians cost a core that one leaves free.
    """
    return wanted or (1 if kind == "gaussian" else torch.get_num_threads())


def cast_of(
    avatar_folder: Path, config: ViewConfig, load: Callable[[Path], Character] = load_character
) -> tuple[TalkerFactory, Identity]:
    """Talkers of one avatar, which share its weights and nothing else, and whose likeness it is.

    Raises UserError when it cannot speak.
    """
    no_voice(config.controls.emotion, "a live session")
    character = load(avatar_folder).to(config.device)
    camera = character.avatar.camera
    if character.motion_model is None:
        raise UserError(
            f"avatar {avatar_folder}",
            expected="one that has learned to speak",
            got="no motion model in its folder",
            remedy=f"Run `gtalk motion train DATASET -o {avatar_folder}`.",
        )
    view = View(size=(round(camera.width * config.size / camera.height), config.size))
    model = character.motion_model
    edits: list[EditFactory] = []  # that are told events while they run
    if isinstance(model, PersonMotionModel):
        edits = [lambda: ScoreEdit(model), lambda: LiveKeys(model)]
    options = {"controls": config.controls, "edits": edits, "seed": config.seed, "view": view}
    return lambda: character.talker(lookahead="live", **options), character.identity


def _open_source(config: ViewConfig, server: LiveServer, cleanup: ExitStack) -> None:
    if config.mic == "local":
        from gtalk.viewer.audio.soundcard import SoundCard

        cleanup.callback(SoundCard(server.main.session, config.mic_device, _report).close)
    elif config.mic == "stdin":
        from gtalk.viewer.audio.stdin import speak_pipe

        speak_pipe(sys.stdin.buffer, config.stdin_rate, server.main.session, _report)


def _report(line: str) -> None:
    logging.getLogger("gtalk.viewer").info(line)
    sys.stderr.write(f"gtalk: {line}\n")
