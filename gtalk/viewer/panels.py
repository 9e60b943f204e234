"""viser's side of the page: orbit of the head, and a control for everything the session exposes."""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path

import numpy as np
import viser

from gtalk.errors import UserError
from gtalk.motion.control import Controls
from gtalk.talk import PLATE
from gtalk.types import AUDIO_RATE
from gtalk.viewer.orbit import orbit_camera
from gtalk.viewer.recorder import Recorder
from gtalk.viewer.session import LiveSession
from gtalk.viewer.sources import FileSource, PushSource
from gtalk.viewer.speech import speak

_COLOURS = {"studio grey": (96, 98, 104), "green": (0, 177, 64), "white": (255, 255, 255)}


class Panels:
    """Builds the controls of one session on a viser server that listens on loopback only."""

    def __init__(self, session: LiveSession, controls: Controls | None = None) -> None:
        self._session, self._controls = session, controls
        with contextlib.redirect_stdout(io.StringIO()):  # its banner would name an address that is not for visitors
            self._server = viser.ViserServer(host="127.0.0.1", port=0, label="gtalk", verbose=False)
        self.port = self._server.get_port()
        camera = session.talker.avatar.camera
        self._home = np.linalg.inv(camera.T_camera_world)[:3, 3]
        self._pivot = self._home + np.linalg.inv(camera.T_camera_world)[:3, 2] * _usual_distance_m(session)
        self._server.gui.configure_theme(dark_mode=True, show_logo=False)
        self._server.gui.main_panel.dock_right()
        self._build_speech()
        if controls is not None:
            self._build_motion(controls)
        self._build_picture()
        self._build_recorder()
        self._server.on_client_connect(self._welcome)

    def stop(self) -> None:
        """Close viser."""
        self._recorder.stop()
        with contextlib.redirect_stdout(io.StringIO()):
            self._server.stop()

    def _welcome(self, client: viser.ClientHandle) -> None:
        client.camera.up_direction = (0.0, 1.0, 0.0)
        client.camera.position = tuple(self._home)
        client.camera.look_at = tuple(self._pivot)

        @client.camera.on_update
        def _(handle: viser.CameraHandle) -> None:
            talker = self._session.talker
            talker.camera = orbit_camera(talker.avatar.camera, self._pivot, np.asarray(handle.position))

    def _build_speech(self) -> None:
        gui = self._server.gui
        with gui.add_folder("Speech"):
            upload = gui.add_upload_button("Play a sound file")
            text = gui.add_text("Text", "Hello. I am a gtalk avatar.")
            voice = gui.add_dropdown("Voice", ("en-us", "en-gb", "de", "fr-fr", "es", "it", "cmn"))
            say = gui.add_button("Say it")
            stop = gui.add_button("Stop", color="red")

        @upload.on_upload
        def _(_event: viser.GuiEvent) -> None:
            # Decoded from a file, because containers seek; the name gives only the suffix.
            with tempfile.NamedTemporaryFile(suffix=Path(upload.value.name).suffix[:8], delete=False) as file:
                file.write(upload.value.content)
            self._try(lambda: self._session.play(FileSource(Path(file.name))))

        @say.on_click
        def _(_event: viser.GuiEvent) -> None:
            def play() -> None:
                source = PushSource("text", audible=True, bounded=False)
                source.push(speak(text.value, voice.value))
                source.close()
                self._session.play(source)

            self._try(play)

        @stop.on_click
        def _(_event: viser.GuiEvent) -> None:
            self._session.interrupt()

    def _build_motion(self, controls: Controls) -> None:
        gui = self._server.gui

        def slider(label: str, name: str, low: float | int, high: float | int, step: float | int) -> None:
            handle = gui.add_slider(label, low, high, step, getattr(controls, name))

            @handle.on_update
            def _(_event: viser.GuiEvent) -> None:
                setattr(controls, name, handle.value)

        with gui.add_folder("Motion"):
            slider("Mouth", "mouth", 0.0, 2.0, 0.05)
            slider("Expression", "expression", 0.0, 2.0, 0.05)
            slider("Head", "pose", 0.0, 2.0, 0.05)
            slider("Blinks", "blink_rate", 0.0, 1.0, 0.05)
            slider("Smoothing (s)", "smoothing_s", 0.0, 0.3, 0.01)
            slider("LLE", "lle", 0.0, 1.0, 0.05)
            slider("LLE neighbours", "lle_neighbours", 2, 30, 1)
            gaze = gui.add_vector2("Gaze (rad)", controls.gaze_offset_rad, min=(-0.5, -0.4), max=(0.5, 0.4), step=0.01)
            turn = gui.add_vector3(
                "Turn (rad)", controls.pose_offset_rad, min=(-0.3, -0.3, -0.3), max=(0.3, 0.3, 0.3), step=0.01
            )

        @gaze.on_update
        def _(_event: viser.GuiEvent) -> None:
            controls.gaze_offset_rad = gaze.value

        @turn.on_update
        def _(_event: viser.GuiEvent) -> None:
            controls.pose_offset_rad = turn.value

    def _build_picture(self) -> None:
        gui = self._server.gui
        with gui.add_folder("Picture"):
            background = gui.add_dropdown("Background", ("its own", *_COLOURS))
            home = gui.add_button("View from the front")

        @background.on_update
        def _(_event: viser.GuiEvent) -> None:
            talker = self._session.talker
            colour = _COLOURS.get(background.value)
            width, height = talker.size or (talker.avatar.camera.width, talker.avatar.camera.height)
            talker.background = PLATE if colour is None else np.full((height, width, 3), colour, np.uint8)

        @home.on_click
        def _(_event: viser.GuiEvent) -> None:
            for client in self._server.get_clients().values():
                client.camera.position = tuple(self._home)
                client.camera.look_at = tuple(self._pivot)

    def _build_recorder(self) -> None:
        gui = self._server.gui
        self._recorder = Recorder(self._session)
        with gui.add_folder("Recording"):
            button = gui.add_button("Record")

        @button.on_click
        def _(event: viser.GuiEvent) -> None:
            if not self._recorder.running:
                self._try(self._recorder.start)
                button.label = "Stop and download"
                return
            path = self._recorder.stop()
            button.label = "Record"
            if path is not None and event.client is not None:
                event.client.send_file_download("gtalk.mp4", path.read_bytes())

    def _try(self, action) -> None:
        try:
            action()
        except UserError as error:
            for client in self._server.get_clients().values():
                client.add_notification("That did not work", str(error), color="red")


def _usual_distance_m(session: LiveSession) -> float:
    """How far in front of the camera the head is: where an orbit turns about."""
    talker = session.talker
    assert talker.motion_model is not None
    resting = talker.motion_model.stream(talker.seed).push(np.zeros(AUDIO_RATE, np.float32)).head_pose[:, :3, 3].mean(0)
    T_camera_world = talker.avatar.camera.T_camera_world
    return float((T_camera_world[:3, :3] @ resting + T_camera_world[:3, 3])[2])
