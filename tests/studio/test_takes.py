"""What was recorded stays, whatever order and how often its pieces come, and whoever dies."""

import errno
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalk.errors import UserError
from gtalk.studio import takes
from gtalk.studio.takes import Missing, Take, is_name, slug
from tests.studio.films import film


@pytest.fixture
def take(tmp_path) -> Take:
    return Take.begin(tmp_path, "Ada Lovelace", "I am Ada and agree to this avatar.", "en")


def cut(data: bytes, count: int) -> list[bytes]:
    size = -(-len(data) // count)
    return [data[i * size : (i + 1) * size] for i in range(count)]


def test_pieces_in_any_order_and_twice_make_the_film(take, tmp_path) -> None:
    data = film(tmp_path / "film.webm")
    pieces = list(enumerate(cut(data, 9)))
    random.Random(3).shuffle(pieces)
    for number, piece in [*pieces, *pieces]:
        take.put("read", 0, number, "webm", piece)
    assert take.held("read", 0, "webm") == list(range(9))
    path = take.close("read", 0, "webm", 9, 1.5)
    assert path.read_bytes() == data and take.held("read", 0, "webm") is None
    take.put("read", 0, 4, "webm", b"late")
    assert take.close("read", 0, "webm", 9, 1.5).read_bytes() == data, "a second close, of an answer that was lost"
    assert take.parts()["read"] == {"seconds": 1.5, "bytes": len(data), "stretches": 1, "next": 1}


@given(gone=st.sets(st.integers(0, 11), max_size=11))
def test_what_is_missing_is_named(gone: set[int], tmp_path_factory) -> None:
    take = Take(tmp_path_factory.mktemp("take"))
    for number in set(range(12)) - gone:
        take.put("consent", 1, number, "webm", bytes([number]))
    if gone:
        with pytest.raises(Missing) as told:
            take.close("consent", 1, "webm", 12, 6.0)
        assert told.value.numbers == sorted(gone)
    else:
        assert take.close("consent", 1, "webm", 12, 6.0).read_bytes() == bytes(range(12))


def test_what_a_page_that_is_gone_left_open_is_joined_as_far_as_it_came(take, tmp_path) -> None:
    data = film(tmp_path / "film.webm", seconds=2)
    pieces = cut(data, 8)
    for number in (0, 1, 2, 3, 4, 5, 7):
        take.put("read", 2, number, "webm", pieces[number])
    assert Take(take.folder).rescue() == ["read.2.webm"]
    assert take.clips[0].read_bytes() == b"".join(pieces[:6])
    assert take.parts()["read"]["seconds"] == 6 * takes.PIECE_S
    assert take.rescue() == []
    take.put("read", 2, 6, "webm", pieces[6])  # and the page came back
    assert take.rescue() == ["read.2.webm"] and take.clips[0].read_bytes() == data
    assert take.held("read", 2, "webm") == list(range(8))
    assert take.close("read", 2, "webm", 8, 2.0).read_bytes() == data and take.held("read", 2, "webm") is None


def test_a_part_that_is_recorded_anew_keeps_the_old_one_until_it_is_whole(take, tmp_path) -> None:
    data = film(tmp_path / "film.webm")
    for stretch in (0, 1):
        take.put("turn", stretch, 0, "webm", data)
        take.close("turn", stretch, "webm", 1, 1.0)
    take.put("turn", 2, 0, "webm", data)
    assert [clip.name for clip in take.clips] == ["turn.0.webm", "turn.1.webm"]
    take.close("turn", 2, "webm", 1, 1.0, fresh=True)
    assert [clip.name for clip in take.clips] == ["turn.2.webm"] and take.parts()["turn"]["next"] == 3


def test_labels_lie_beside_the_faces_and_go_with_them(take, tmp_path) -> None:
    from gtalk.rig.bank import read_labels

    take.put("faces", 0, 0, "webm", film(tmp_path / "film.webm"))
    path = take.close("faces", 0, "webm", 1, 9.0, labels=[(3.6, 6.8, "happy")])
    assert [(span.start_s, span.name) for span in read_labels(path.with_suffix(".csv"))] == [(3.6, "happy")]
    take.forget("faces")
    assert not list((take.folder / "clips").iterdir())


@pytest.mark.parametrize(
    ("data", "says"), [(b"no film at all" * 40, "media"), (None, "a video with sound; got no sound")]
)
def test_an_upload_that_is_no_video_is_told_and_deleted(take, tmp_path, data, says) -> None:
    take.put("upload", 0, 0, "mp4", data or film(tmp_path / "film.mp4", sound=False))
    with pytest.raises(UserError, match=says):
        take.close("upload", 0, "mp4", 1, 0.0)
    assert not take.clips


def test_an_upload_of_two_gigabytes_is_refused_at_the_piece_that_is_too_many(take) -> None:
    with pytest.raises(UserError, match=r"at most 1 GB.*got 2\.1 GB.*gtalk train"):
        take.put("upload", 0, (2 << 30) // takes.MOST_PIECE_BYTES, "mp4", b"x")


def test_a_full_disk_is_told_and_the_piece_can_come_again(take, monkeypatch) -> None:
    real = takes.os.fsync

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(takes.os, "fsync", full)
    with pytest.raises(UserError, match="a full one"):
        take.put("read", 0, 0, "webm", b"x")
    assert take.held("read", 0, "webm") == []
    monkeypatch.setattr(takes.os, "fsync", real)
    take.put("read", 0, 0, "webm", b"x")
    assert take.held("read", 0, "webm") == [0]


@pytest.mark.parametrize("at", range(3))
def test_a_server_that_dies_while_it_joins_loses_nothing(take, tmp_path, monkeypatch, at) -> None:
    """Killed before the film has its name, before its pieces are laid aside, and while they go."""
    data = film(tmp_path / "film.webm")
    for number, piece in enumerate(cut(data, 4)):
        take.put("read", 0, number, "webm", piece)

    def killed(*_args, **_options):
        raise KeyboardInterrupt

    if at == 0:
        monkeypatch.setattr(takes.shutil, "copyfileobj", killed)
    elif at == 1:
        monkeypatch.setattr(takes.shutil, "rmtree", killed)
    else:

        def killed_amid(path, **_options):
            if path.exists():
                (path / "00001").unlink()
                killed()

        monkeypatch.setattr(takes.shutil, "rmtree", killed_amid)
    with pytest.raises(KeyboardInterrupt):
        take.close("read", 0, "webm", 4, 1.0)
    monkeypatch.undo()
    again = Take(take.folder)
    again.rescue()
    assert again.clips[0].read_bytes() == data
    assert again.close("read", 0, "webm", 4, 1.0).read_bytes() == data
    assert not list(take.folder.glob("clips/*.pieces"))


def test_consent_comes_first_and_names_become_folders(tmp_path) -> None:
    with pytest.raises(UserError, match="says yes"):
        Take.begin(tmp_path, "Ada", "Hello there, world.", "en")
    assert not list(tmp_path.iterdir())
    names = [
        Take.begin(tmp_path, who, "I agree to it.", "en").folder.name for who in ("Ädá Ö.", "ada o", "田中", "田中")
    ]
    assert names == ["ada-o", "ada-o-2", "avatar", "avatar-2"]


@given(st.text(max_size=80))
def test_every_name_makes_a_folder_that_is_one(words: str) -> None:
    assert is_name(slug(words))


@pytest.mark.parametrize(
    ("part", "stretch", "suffix"), [("../x", 0, "webm"), ("read", -1, "webm"), ("read", 0, "../a")]
)
def test_a_path_that_leads_elsewhere_is_refused(take, part, stretch, suffix) -> None:
    with pytest.raises(UserError):
        take.put(part, stretch, 0, suffix, b"x")
