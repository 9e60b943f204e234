from gtalk.motion.edits.emotion import read_emotion
from gtalk.viewer.gui.emotion_pad import EmotionPad


def test_sliders_write_what_the_control_reads() -> None:
    pad = EmotionPad("happy:0.5+browDownLeft:0.2")
    assert (pad.value("happy"), pad.value("browDownLeft"), pad.value("sad")) == (0.5, 0.2, 0.0)
    pad.set("sad", 0.25)
    pad.set("happy", 0.0)
    assert pad.text == "browDownLeft:0.2,sad:0.25"
    assert read_emotion(pad.text).weights["browDownLeft"] > 0.2
    pad.clear()
    assert pad.text == ""
    assert len(pad.emotions) == 7
    assert len(pad.shapes) == 55


def test_words_that_no_slider_can_show_are_left_out() -> None:
    assert EmotionPad("sad:0.8@brows").text == ""
