import numpy as np
import pytest
import torch

from gtalk.motion.model.net import MotionNet
from gtalk.motion.training.crops import Crops
from gtalk.motion.training.fit_net import fit_net, standardise
from gtalk.motion.training.losses import LossConfig, MotionLoss
from gtalk.motion.training.sequences import read_training_clip
from gtalk.motion.training.sync_expert import ExpertConfig, SyncExpert, contrast, train_expert
from gtalk.motion.training.training_data import TrainingData, gather, split_utterances
from tests.motion.talking import SMALL, write_dataset

PAST, FRAMES, COLUMNS, CODES = 30, 12, 7, 3


def expert(past_rows: int = PAST) -> SyncExpert:
    torch.manual_seed(0)
    return SyncExpert(torch.zeros(COLUMNS), torch.ones(COLUMNS), torch.ones(CODES), past_rows)


def test_perfect_vectors_cost_nothing_and_equal_ones_cost_chance() -> None:
    usable = torch.ones(2, 10, dtype=torch.bool)
    own = torch.eye(10).expand(2, 10, 10)
    assert float(contrast(own, own, usable)) < 0.05
    same = torch.ones(2, 10, 4) / 2
    # Two neighbours of each instant are left out: eight (nine at the ends) rather than ten to choose from.
    assert float(contrast(same, same, usable)) == pytest.approx(np.log(8.2) / np.log(10), abs=0.01)


def test_neighbours_and_unusable_frames_are_no_wrong_answers() -> None:
    vectors = torch.eye(10)[None].clone()
    blurred = vectors.clone()
    blurred[0, 4] = vectors[0, 5]  # lips that fit the next instant as well as their own are not called wrong
    blurred[0, 4, 4] = 1.0
    usable = torch.ones(1, 10, dtype=torch.bool)
    assert float(contrast(vectors, blurred, usable)) < 0.05
    wrong = vectors.clone()
    wrong[0, 4] = vectors[0, 8]
    bad = float(contrast(vectors, wrong, usable))
    usable[0, 4] = False
    assert bad > 0.1 and float(contrast(vectors, wrong, usable)) < 0.05


def test_a_frames_sound_is_the_fifth_of_a_second_around_its_instant() -> None:
    judge, rows = expert(), torch.randn(1, COLUMNS, PAST + 4 * FRAMES + 20, requires_grad=True)
    vectors = judge.sound(rows, FRAMES)
    assert vectors.shape[1] == FRAMES - 4
    vectors[0, 3].sum().backward()  # frame 5
    assert rows.grad is not None
    seen = rows.grad.abs().sum((0, 1)).nonzero()
    assert (int(seen.min()), int(seen.max())) == (PAST + 20 - 10, PAST + 20 + 11)


@pytest.mark.parametrize("past", [0, 5, 30])
def test_crops_that_end_early_are_continued(past: int) -> None:
    judge, rows = expert(past), torch.randn(2, COLUMNS, past + 4 * (FRAMES - 1) + 1)
    assert judge.sound(rows, FRAMES).shape[1] == judge.lips(torch.randn(2, FRAMES, CODES + 2)).shape[1] == FRAMES - 4


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> TrainingData:
    dataset = write_dataset(tmp_path_factory.mktemp("sync") / "a", seconds=30.0)
    return gather([read_training_clip(dataset)], SMALL.features, SMALL.augment, 0)


def test_it_learns_which_lips_belong_to_which_sound(data) -> None:
    training, held = split_utterances(data.utterances, 0.3)
    net = MotionNet(training[0].rows.shape[1], training[0].codes.shape[1], SMALL.net)
    standardise(net, training, ())
    mouth = torch.from_numpy(training[0].codes[:, :-2]).float()
    judge, config = SyncExpert(net.shift, net.scale, mouth.std(0), net.past_rows), ExpertConfig(steps=120)
    generator = torch.Generator().manual_seed(0)
    train_expert(judge, [Crops(training, net, 32)], config, generator)
    rows, codes, usable = Crops(held, net, 32).draw(32, generator)
    right = float(judge.loss(rows, codes, usable))
    late = float(judge.loss(rows, torch.roll(codes, 4, 1), usable))
    assert right < late - 0.1
    assert not any(p.requires_grad for p in judge.parameters())


def test_training_with_it_is_a_term_of_the_loss(data) -> None:
    config = LossConfig(sync=0.1, expert=ExpertConfig(steps=5, batch=4))
    loss, quick = MotionLoss(data.basis, config), SMALL.fit.__class__(steps=2, batch=4, check_every=1)
    result = fit_net(data.utterances, data.copies, [], loss, SMALL.net, quick)
    assert 0.0 < result.history[-1]["sync"] < 1.0
    off = MotionLoss(data.basis, LossConfig(sync=0.0))
    without = fit_net(data.utterances, data.copies, [], off, SMALL.net, quick)
    assert "sync" not in without.history[-1]
