import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.speech import phones
from gtalk.speech.phones import AcousticModel, PhoneScores, load_acoustic_model, with_deltas

pytest.importorskip("pocketsphinx")


def test_the_model_of_the_wheel() -> None:
    model = load_acoustic_model()
    assert len(model.phones) == 42
    assert {"AA", "M", "SIL", "UW"} <= set(model.phones)
    assert model.means.shape == model.variances.shape == (42, 3, 128, 13)
    assert model.weights.shape == (42, 3, 128, 3)
    np.testing.assert_allclose(model.weights.sum(2), 1.0)
    assert (model.variances > 0).all()


def test_scores_equal_the_plain_formula() -> None:
    rng = np.random.default_rng(0)
    model = AcousticModel(
        ("A", "B"),
        rng.normal(size=(2, 3, 4, 13)) * 3,
        rng.uniform(0.3, 4.0, (2, 3, 4, 13)),
        rng.dirichlet(np.ones(4), (2, 3, 3)).transpose(0, 1, 3, 2),
    )
    streams = [rng.normal(size=(5, 13)) for _ in range(3)]
    expected = np.zeros((5, 2, 3))
    for s, x in enumerate(streams):
        gap = x[:, None, None] - model.means[None, :, s]
        density = -0.5 * (gap**2 / model.variances[:, s] + np.log(model.variances[:, s])).sum(-1)
        expected += np.log(np.einsum("tpc,pck->tpk", np.exp(density), model.weights[:, s]))
    got = PhoneScores(model).states(streams)
    # A constant of each stream is dropped.
    np.testing.assert_allclose(got - got[:1, :1, :1], expected - expected[:1, :1, :1], atol=1e-4)


def test_differences_of_a_parabola() -> None:
    time = np.arange(12.0)
    cepstra = np.repeat((0.5 * time**2)[:, None], 13, axis=1)
    static, first, second = with_deltas(cepstra, np.zeros((6, 13)))
    np.testing.assert_allclose(static[:, 0], 0.5 * time[3:9] ** 2)
    np.testing.assert_allclose(first[:, 0], 4.0 * time[3:9])  # (c[t+2] - c[t-2])
    np.testing.assert_allclose(second[:, 0], 8.0)


def test_rows_are_tempered_posteriors_over_the_states() -> None:
    model = load_acoustic_model()
    scores = PhoneScores(model)
    streams = [3 * np.random.default_rng(s).normal(size=(6, 13)) for s in range(3)]
    likelihood = np.log(np.exp(scores.states(streams)).sum(-1))
    power = np.exp(phones._TEMPER * (likelihood - likelihood.max(1, keepdims=True)))
    expected = np.maximum(np.log(power / power.sum(1, keepdims=True)), phones._FLOOR)
    np.testing.assert_allclose(scores(streams), expected, atol=1e-4)


def test_single_precision_is_enough_for_the_model_of_the_wheel() -> None:
    model, rng = load_acoustic_model(), np.random.default_rng(4)
    # Near the codewords, as speech is: some variances are 1e-4, their offsets tens of millions.
    picked = rng.integers(0, [42, 128], (12, 2))
    at = model.means[picked[:, 0], :, picked[:, 1]] + rng.normal(size=(12, 3, 13)) * 0.3
    streams = [at[:, s] for s in range(3)]
    expected = np.zeros((12, 42, 3))
    for s, x in enumerate(streams):
        gap = x[:, None, None] - model.means[None, :, s]
        density = -0.5 * (gap**2 / model.variances[:, s] + np.log(model.variances[:, s])).sum(-1)
        peak = density.max(-1, keepdims=True)
        expected += peak + np.log(np.einsum("tpc,pck->tpk", np.exp(density - peak), model.weights[:, s]))
    scores = PhoneScores(model)
    got = scores.states(streams)
    np.testing.assert_allclose(got - got[:, :1, :1], expected - expected[:, :1, :1], atol=2e-3)
    one_by_one = [scores([x[i : i + 1] for x in streams]) for i in range(12)]
    np.testing.assert_allclose(np.concatenate(one_by_one), scores(streams), atol=1e-4)


def test_a_damaged_model_is_a_user_error(tmp_path) -> None:
    for name in ("mdef", "means", "variances", "sendump"):
        (tmp_path / name).write_bytes(b"nonsense" * 20)
    with pytest.raises(UserError, match="Install pocketsphinx again"):
        phones.read_acoustic_model(tmp_path)
