import numpy as np

from demo_person.speaking.other_voices import DEMO, lips_of
from demo_person.speaking.speech import Speech
from demo_person.truth import load_truth
from gtalk.eval.motion import aperture


def test_the_rules_give_the_clips_own_lips() -> None:
    truth = load_truth(DEMO)
    starts, ends = truth.phoneme_starts_s, truth.phoneme_ends_s
    speech = Speech(np.zeros(0, np.float32), list(truth.phonemes), starts, ends, starts[:1])
    guess = aperture(lips_of(speech, len(truth.aperture)))
    assert np.corrcoef(guess, truth.aperture)[0, 1] > 0.95
    assert np.abs(guess - truth.aperture).mean() < 0.001
