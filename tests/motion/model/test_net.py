import numpy as np
import torch

from gtalk.motion.model.net import ROWS_PER_FRAME, MotionNet, NetConfig, QuickNet
from gtalk.motion.training.fit_net import predict


def net_of(config: NetConfig, n_in: int = 5) -> MotionNet:
    torch.manual_seed(0)
    net = MotionNet(n_in, 3, config).eval()
    torch.nn.init.normal_(net.out.weight)
    return net


def test_a_frame_sees_exactly_its_window() -> None:
    config = NetConfig(channels=8, dilations=(1, 2), future_rows=7)
    net = net_of(config)
    rows = torch.randn(1, 5, net.rows + 12 * ROWS_PER_FRAME, requires_grad=True)
    net(rows)[0, :, 6].square().sum().backward()
    assert rows.grad is not None
    seen = np.flatnonzero(rows.grad[0].abs().sum(0).numpy())
    first = 6 * ROWS_PER_FRAME
    assert seen.min() == first
    assert seen.max() == first + net.rows - 1
    assert net.past_rows + 1 + config.future_rows == net.rows


def test_outputs_match_when_cut_and_start_silent() -> None:
    net = net_of(NetConfig(channels=8))
    rows = np.random.default_rng(0).normal(size=(400, 5)).astype(np.float32)
    whole = predict(net, rows, 100)
    assert whole.shape == (100, 3)
    part = predict(net, rows[: 60 * ROWS_PER_FRAME + 40], 60)
    np.testing.assert_allclose(part, whole[:60], atol=1e-5)
    with torch.no_grad():
        fresh = MotionNet(5, 3, NetConfig())(torch.randn(2, 5, 200))
    assert fresh.abs().max() == 0.0  # before training, the mean mouth


def test_the_quick_net_gives_the_same_codes() -> None:
    net = net_of(NetConfig(channels=8, dilations=(1, 2, 4), future_rows=5))
    net.shift.normal_()
    net.scale.uniform_(0.5, 2.0)
    for count in (net.rows, 200):
        rows = torch.randn(count, 5)
        with torch.no_grad():
            wanted = net(rows.T[None])[0].T
        np.testing.assert_allclose(QuickNet(net)(rows), wanted, atol=1e-5)
