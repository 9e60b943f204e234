"""What a panel's page may say to viser, and that nothing else goes through."""

import asyncio
from collections.abc import Callable

import pytest
import viser
from viser.infra import _infra
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from gtalk.viewer.gui import guard
from gtalk.viewer.gui.guard import GuardedViser, check_update, inner_viser, stop_viser
from gtalk.viewer.web.protocol import BadMessage
from tests.hosting.asking import listening

PROTOCOL = Subprotocol(f"viser-v{viser.__version__}")


@pytest.fixture(scope="module")
def panel():
    server = inner_viser("test", "secret")
    yield server
    stop_viser(server)


def packed(kind: str, **fields) -> bytes:
    return _infra.msgspec.msgpack.encode({"type": kind, **fields})


def update(control, **updates) -> bytes:
    return packed("GuiUpdateMessage", uuid=control._impl.uuid, updates=updates)


def test_values_are_those_that_a_control_offers(panel) -> None:
    gui = panel.gui
    slider = gui.add_slider("mouth", 0.0, 2.0, 0.05, 1.0)
    gaze = gui.add_vector2("gaze", (0.0, 0.0), min=(-0.5, -0.5), max=(0.5, 0.5))
    height = gui.add_dropdown("height", ("256", "512"))
    words, box, button = gui.add_text("words", ""), gui.add_checkbox("box", False), gui.add_button("rest")
    upload = gui.add_upload_button("file")
    for control, value in [(slider, 2), (slider, 0.35), (gaze, [0.5, -0.5]), (height, "512"), (words, "happy"),
                           (box, True), (button, True)]:  # fmt: skip
        check_update(control, {"value": value})
    for control, value in [
        (slider, 2.1), (slider, float("nan")), (slider, "1"), (slider, True), (slider, [1.0]), (gaze, [0.1, 0.2, 0.3]),
        (gaze, 0.1), (gaze, [0.1, float("inf")]), (gaze, [0.1, "x"]), (height, "16000"), (height, 512), (height, []),
        (words, "a" * 2001), (words, 5), (box, 1), (button, {"a": 1}), (upload, b"x"), (None, 1.0),
    ]:  # fmt: skip
        with pytest.raises(BadMessage, match=r"does not offer|another attribute"):
            check_update(control, {"value": value})
    for updates in ({"label": "Send money"}, {"value": 1.0, "hint": "x"}, {}, ["value"], {"disabled": True}):
        with pytest.raises(BadMessage, match="another attribute"):
            check_update(slider, updates)


def conversation(panel, talk: Callable, **headers) -> list[str]:
    """`talk` with a guarded panel; what was reported."""
    said: list[str] = []

    async def run() -> None:
        guarded = GuardedViser(panel, "secret", said.append)
        async with (
            listening(guarded.routes()) as (port, _),
            connect(f"ws://127.0.0.1:{port}/viser/", subprotocols=[PROTOCOL], additional_headers=headers,
                    max_size=None, proxy=None) as page,
        ):  # fmt: skip
            await asyncio.wait_for(talk(page), 20)

    asyncio.run(run())
    return said


CAMERA = {"wxyz": [1, 0, 0, 0], "position": [0, 0, 3], "fov": 1.0, "near": 0.1, "far": 9.0, "image_height": 9,
          "image_width": 9, "look_at": [0, 0, 0], "up_direction": [0, 1, 0]}  # fmt: skip


def test_a_value_reaches_its_control_and_everything_else_stays_outside(panel) -> None:
    told: list[float] = []
    slider = panel.gui.add_slider("mouth again", 0.0, 2.0, 0.05, 1.0)
    slider.on_update(lambda _: told.append(slider.value))
    panel.request_share_url = lambda *_: pytest.fail("a tunnel was asked for")

    async def talk(page) -> None:
        assert isinstance(await page.recv(), bytes), "it is sent its controls"
        await page.send(packed("ViewerCameraMessage", **CAMERA))
        await page.send(packed("ShareUrlRequest"))
        await page.send(packed("GuiFormDirtyMessage", uuid="x" * 1000))
        await page.send(update(slider, value=1.5))
        for _ in range(200):
            await asyncio.sleep(0.01)
            if told:
                break

    assert conversation(panel, talk) == [] and told == [1.5]


UPLOAD = {"transfer_uuid": "t", "filename": "a.wav", "mime_type": "audio/wav"}
HOSTILE: dict[str, Callable] = {
    "another attribute": lambda slider, _: [update(slider, label="Send money")],
    "does not offer": lambda slider, _: [update(slider, value=16_000)],
    "no panel sends": lambda *_: [b"\xff\xfe\xfd"],
    "messages a second": lambda slider, _: [update(slider, value=i % 2) for i in range(400)],
    "more than 20 MB": lambda _, button: [packed("FileTransferStartUpload", source_component_uuid=button._impl.uuid,
                                                 part_count=4000, size_bytes=2_000_000_000, **UPLOAD)],
    "described wrongly": lambda _, button: [packed("FileTransferStartUpload", source_component_uuid=button._impl.uuid,
                                                   part_count=999, size_bytes=1000, **UPLOAD)],
    "nothing that takes one": lambda slider, _: [packed("FileTransferStartUpload", part_count=1, size_bytes=1000,
                                                        source_component_uuid=slider._impl.uuid, **UPLOAD)],
    "part of no file": lambda *_: [packed("FileTransferPart", source_component_uuid="x", transfer_uuid="t",
                                          part_index=0, content=b"x")],
    "second file": lambda _, button: [packed("FileTransferStartUpload", source_component_uuid=button._impl.uuid,
                                             part_count=1, size_bytes=1000, **UPLOAD)] * 2,
}  # fmt: skip


@pytest.mark.parametrize("why", HOSTILE)
def test_hostile_pages_are_closed_with_a_reason(panel, why: str) -> None:
    slider = panel.gui.add_slider("one more", 0.0, 2.0, 0.05, 1.0)
    messages = HOSTILE[why](slider, panel.gui.add_upload_button("take"))

    async def talk(page) -> None:
        with pytest.raises(ConnectionClosed, match="1008"):
            for message in messages:
                await page.send(message)
            while True:
                await page.recv()

    said = conversation(panel, talk)
    assert len(said) == 1 and why in said[0]
    assert slider.label == "one more"
    assert not panel.gui._current_file_upload_states or why == "second file"


def test_a_message_larger_than_a_part_is_not_read(panel) -> None:
    async def talk(page) -> None:
        with pytest.raises(ConnectionClosed, match="1009"):
            await page.send(b"\0" * 2_000_000)
            while True:
                await page.recv()

    conversation(panel, talk)


def test_a_file_comes_whole(panel) -> None:
    button, data, got = panel.gui.add_upload_button("whole"), b"ab" * 400_000, []
    button.on_upload(lambda _: got.append(button.value.content))

    async def talk(page) -> None:
        await page.send(packed("ViewerCameraMessage", **CAMERA))
        start = {"source_component_uuid": button._impl.uuid, "part_count": 2, "size_bytes": len(data), **UPLOAD}
        await page.send(packed("FileTransferStartUpload", **start))
        for i in range(2):
            part = data[i * guard._PART_BYTES : (i + 1) * guard._PART_BYTES]
            await page.send(packed("FileTransferPart", source_component_uuid=button._impl.uuid, transfer_uuid="t",
                                   part_index=i, content=part))  # fmt: skip
        for _ in range(300):
            await asyncio.sleep(0.01)
            if got:
                return

    assert conversation(panel, talk) == [] and got == [data]
