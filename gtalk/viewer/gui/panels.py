"""viser's side of the page: a control for everything the session exposes."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import viser

from gtalk.errors import UserError
from gtalk.motion.edits.controls import ControlSpec, control_specs, word_specs
from gtalk.talk import PLATE
from gtalk.viewer.audio.strangers_file import StrangersFile
from gtalk.viewer.config import QUALITIES
from gtalk.viewer.gui.emotion_pad import EmotionPad
from gtalk.viewer.gui.guard import MOST_UPLOAD_BYTES, inner_viser, stop_viser
from gtalk.viewer.live.session import LiveSession

_COLOURS = {"studio grey": (96, 98, 104), "green": (0, 177, 64), "white": (255, 255, 255)}
_HEIGHTS = (256, 384, 512, 768, 1024)


class Panels:
    """Builds the controls of one session on a viser server that listens on loopback only.

    Args:
        session: what is controlled.
        notify: tells visitors what did not work.
        secret: what is sent along to it: viser answers nobody without it.
    """

    def __init__(
        self,
        session: LiveSession,
        notify: Callable[[str], None],
        secret: str | None = None,
    ) -> None:
        self._session, self._notify = session, notify
        self._server = inner_viser("gtalk", secret or secrets.token_hex(16))
        self._files = tempfile.TemporaryDirectory(prefix="gtalk-")
        self._server.gui.main_panel.dock_right()
        self._build_motion()
        self._build_image()
        self._build_files()

    @property
    def server(self) -> viser.ViserServer:
        """What holds the controls."""
        return self._server

    def stop(self) -> None:
        """Close viser."""
        stop_viser(self._server)
        self._files.cleanup()

    def _build_files(self) -> None:
        with self._server.gui.add_folder("Sound file"):
            hint = f"Sound or video with sound, at most {MOST_UPLOAD_BYTES // 10**6} MB"
            upload = self._server.gui.add_upload_button("Play a file", mime_type="audio/*,video/*", hint=hint)

        @upload.on_upload
        def _(_event: viser.GuiEvent) -> None:
            # Decoded from a file, because containers seek. One file is kept: the one that plays.
            file, upload._impl.value = upload.value, viser.UploadedFile("", b"")  # viser would keep its bytes
            path = Path(self._files.name) / "sound"
            path.unlink(missing_ok=True)
            path.write_bytes(file.content)
            self._try(lambda: self._session.play(StrangersFile(path, _plain(file.name))))

    def _build_motion(self) -> None:
        with self._server.gui.add_folder("Motion"):
            for spec in control_specs():
                self._build_control(spec)
        self._build_emotion()

    def _build_emotion(self) -> None:
        """A pad of emotions, a slider for each shape, and the words that both write, which may be written by hand."""
        gui, state = self._server.gui, EmotionPad(self._session.controls.emotion)
        handles: dict[str, viser.GuiInputHandle] = {}

        def show(text: str) -> None:
            self._session.set_controls(replace(self._session.controls, emotion=text))

        def turned(name: str, handle: viser.GuiInputHandle) -> None:
            state.set(name, float(handle.value))
            words.value = state.text

        with gui.add_folder("Emotion"):
            words = gui.add_text("In words", state.text, hint=word_specs()[0].control.sentence)
            rest = gui.add_button("Neutral")
            for name in state.emotions:
                handles[name] = gui.add_slider(name.capitalize(), 0.0, 1.0, 0.05, state.value(name))
        with gui.add_folder("Shapes", expand_by_default=False):
            for name in state.shapes:
                handles[name] = gui.add_slider(name, 0.0, 1.0, 0.05, state.value(name))
        for name, handle in handles.items():
            handle.on_update(lambda _event, name=name, handle=handle: turned(name, handle))

        @words.on_update
        def _(_event: viser.GuiEvent) -> None:
            self._try(lambda: show(str(words.value)))

        @rest.on_click
        def _(_event: viser.GuiEvent) -> None:
            state.clear()
            for handle in handles.values():
                handle.value = 0.0
            words.value = ""

    def _build_control(self, spec: ControlSpec) -> None:
        gui, control, now = self._server.gui, spec.control, getattr(self._session.controls, spec.name)
        low, high, step, hint = control.low, control.high, control.step, control.sentence
        if spec.size == 1:
            handle = gui.add_slider(spec.label, low, high, step, now, hint=hint)
        elif spec.size == 2:
            handle = gui.add_vector2(spec.label, now, min=(low, low), max=(high, high), step=step, hint=hint)
        else:
            handle = gui.add_vector3(spec.label, now, min=(low, low, low), max=(high, high, high), step=step, hint=hint)

        @handle.on_update
        def _(_event: viser.GuiEvent) -> None:
            self.set_control(spec.name, handle.value)

    def set_control(self, name: str, value: float | int | tuple[float, ...]) -> None:
        """Obey another value of one control; what is out of range is told and changes nothing."""
        self._try(lambda: self._session.set_controls(replace(self._session.controls, **{name: value})))

    def _build_image(self) -> None:
        gui, talker, session = self._server.gui, self._session.talker, self._session
        camera = talker.avatar.camera
        height_now = (session.view.size or (camera.width, camera.height))[1]
        with gui.add_folder("Conversation"):
            hint = "A voice in the microphone cuts off what the avatar says"
            barge_in = gui.add_checkbox("Barge-in", session.barge_in, hint=hint)

        @barge_in.on_update
        def _(_event: viser.GuiEvent) -> None:
            session.barge_in = bool(barge_in.value)

        with gui.add_folder("Image"):
            heights = tuple(str(h) for h in sorted({*_HEIGHTS, height_now}))
            height = gui.add_dropdown("Height (px)", heights, initial_value=str(height_now))
            background = gui.add_dropdown("Background", ("its own", *_COLOURS))
            quality = gui.add_slider("JPEG quality", *QUALITIES, 1, session.jpeg_quality)

        def update(_event: viser.GuiEvent) -> None:
            chosen = int(height.value) if height.value in heights else height_now
            size = (round(camera.width * chosen / camera.height), chosen)
            colour = _COLOURS.get(background.value)
            session.set_image(size, PLATE if colour is None else np.full((size[1], size[0], 3), colour, np.uint8))

        height.on_update(update)
        background.on_update(update)

        @quality.on_update
        def _(_event: viser.GuiEvent) -> None:
            session.jpeg_quality = int(quality.value)

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except UserError as error:
            self._notify(str(error))


def _plain(name: str) -> str:
    """The end of a file's name, without what cannot be shown."""
    return "".join(letter for letter in name[-80:] if letter.isprintable()) or "a file"
