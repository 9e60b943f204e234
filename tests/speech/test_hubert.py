import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.speech.base import AudioEncoder, encode
from gtalk.speech.hubert import HubertEncoder
from tests.speech.voices import babble

transformers = pytest.importorskip("transformers")
SOUND = babble(2.3, seed=5)[0]


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> str:
    """A real, very small HuBERT with random weights, saved as any other."""
    import torch

    torch.manual_seed(0)
    config = transformers.HubertConfig(
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
    )
    folder = tmp_path_factory.mktemp("hubert")
    transformers.HubertModel(config).save_pretrained(folder, safe_serialization=True)
    return str(folder)


def test_any_chunking_gives_the_same_rows(path: str) -> None:
    encoder = HubertEncoder(path)
    assert isinstance(encoder, AudioEncoder)
    whole = encode(encoder, SOUND)
    assert whole.shape == (-(-len(SOUND) // 320), 24)
    for sizes in ((1, 999, 5000), (16_000,), (321,)):
        stream, parts, at = encoder.stream(), [], 0
        while at < len(SOUND):
            size = sizes[len(parts) % len(sizes)]
            parts.append(stream.push(SOUND[at : at + size]))
            at += size
        np.testing.assert_allclose(np.concatenate([*parts, stream.finish()]), whole, atol=1e-4)


def test_rows_come_within_the_look_ahead_and_depend_on_their_own_sound(path: str) -> None:
    encoder = HubertEncoder(path, layer=1, block_s=0.2, future_s=0.1)
    stream = encoder.stream()
    rows = len(stream.push(SOUND))
    assert rows >= int((len(SOUND) / 16_000 - encoder.lookahead_s) * encoder.rate_hz)
    other = SOUND.copy()
    other[24_000:] = 0.0
    same = encode(encoder, SOUND)[:20] - encode(encoder, other)[:20]
    assert np.abs(same).max() < 1e-5
    assert np.abs(encode(encoder, SOUND)[80:] - encode(encoder, other)[80:]).max() > 1e-2


def test_empty_sound_and_missing_models(path: str, tmp_path) -> None:
    assert encode(HubertEncoder(path), SOUND[:0]).shape == (0, 24)
    with pytest.raises(UserError, match="Check the path"):
        HubertEncoder(str(tmp_path / "nothing")).stream().push(SOUND)
