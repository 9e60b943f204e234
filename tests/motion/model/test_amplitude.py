import numpy as np
import torch

from gtalk.basis import MotionBasis
from gtalk.motion.model.amplitude import MAX_GAIN, opening_gain, stretch
from gtalk.motion.model.net import MotionNet, NetConfig
from gtalk.motion.training.fit_net import predict
from tests.motion.talking import motion_of_openness


def test_a_mumbling_network_is_stretched_to_the_wanted_spread() -> None:
    torch.manual_seed(0)
    motion = motion_of_openness(np.random.default_rng(0).uniform(size=300))
    basis = MotionBasis.fit(motion)
    n_mouth = len(basis.mouth)
    net = MotionNet(4, n_mouth + 2, NetConfig(channels=8)).eval()
    torch.nn.init.normal_(net.out.weight)
    rows = np.random.default_rng(1).normal(size=(1200, 4)).astype(np.float32)
    guess = predict(net, rows, 300)
    mouth = guess[:, :n_mouth]
    gain = opening_gain(mouth, 1.2 * mouth, basis, 0.9)
    assert np.isclose(gain, 1.2 * 0.9, rtol=1e-3)
    stretch(net, n_mouth, gain)
    np.testing.assert_allclose(predict(net, rows, 300)[:, :n_mouth], gain * mouth, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(predict(net, rows, 300)[:, n_mouth:], guess[:, n_mouth:], rtol=1e-3, atol=1e-4)
    assert opening_gain(mouth, 100 * mouth, basis, 0.9) == MAX_GAIN
    assert opening_gain(mouth, 0.1 * mouth, basis, 0.9) == 1.0
