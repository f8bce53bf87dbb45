"""Depth videos as clips of the study: moments of the videos, subjects kept apart, and the silhouette as truth."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from voxplain.benchmark import study_depth
from voxplain.benchmark.study_clips import StudySize
from voxplain.benchmark.study_depth import ACTIONS, DepthClips, _moments
from voxplain.datasets.utd_mhad import ACTIONS as ALL
from voxplain.errors import DataError
from voxplain.model import VideoModel

SIZE = StudySize(frames=4, side=16, classes=2, train=3, test=5, clips=2, epochs=1)


class Brightness(nn.Module):
    """Logits of two classes: the mean grey above that of a black clip, and 0."""

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((1, 2, 3, 4))[:, None] + 2  # black is −2
        return torch.cat([10 * mean, 0 * mean], 1)


@pytest.fixture
def clips(monkeypatch: pytest.MonkeyPatch) -> DepthClips:
    """Two videos a class and part: a bright square on black, at another place in each frame; training is brighter."""

    def made(folder: Path, classes: int, side: int, train: bool) -> tuple[list[np.ndarray], list[int]]:
        videos = []
        for number in range(2 * classes):
            video = np.zeros((20, side, side, 3), np.uint8)
            for t in range(20):
                video[t, 4:8, t % 12 : t % 12 + 4] = (200 if train else 150) + number
            videos.append(video)
        return videos, [0, 0, 1, 1]

    monkeypatch.setattr(study_depth, "_videos", made)
    return DepthClips(Path("depth"))


def test_moments_are_one_of_each_part() -> None:
    assert _moments(8, 4, None).tolist() == [1, 3, 5, 7]
    assert _moments(2, 4, None).tolist() == [0, 0, 1, 1]
    for seed in range(20):
        found = _moments(20, 4, np.random.default_rng(seed))
        assert (found // 5).tolist() == [0, 1, 2, 3]


def test_parts_have_their_sizes_and_come_from_their_own_videos(clips: DepthClips) -> None:
    frames, labels = clips.part(SIZE, "train")
    assert frames.shape == (6, 4, 16, 16, 3)
    assert labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert not np.array_equal(frames[0], frames[2])  # the same video at other moments
    assert set(np.unique(frames)) == {0, 200, 201, 202, 203}
    tested, _ = clips.part(SIZE, "test")
    assert len(tested) == 4  # a test video is taken once
    assert tested.max() == 153
    assert clips.classes(SIZE) == ("walk", "squat")
    assert set(ACTIONS) <= set(ALL)


def test_the_person_is_what_is_relied_on(clips: DepthClips) -> None:
    """The network calls every clip class 0; without the person the two logits are equal."""
    model = VideoModel(Brightness().eval(), grid=(4, 16, 16), layout="BCTHW", classes=ACTIONS[:2])
    found = clips.known(model, SIZE)
    assert [k.target for k in found] == [0, 0]
    assert found[0].mask.sum() == 4 * 16
    np.testing.assert_array_equal(found[0].mask, found[0].clip.frames[..., 0] > 100)
    assert found[0].relied == "person"
    assert found[0].distractor is None
    assert found[0].drop["person"] == pytest.approx(10 * found[0].clip.frames.mean() / 255 / 0.25, rel=1e-3)
    assert clips.digest(SIZE) == clips.digest(SIZE)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected the folder of UTD-MHAD"):
        DepthClips(tmp_path / "none").part(SIZE, "test")
