"""Where concepts are in labelled clips: with their rim, and present from a third of the usual volume on."""

from dataclasses import replace

import numpy as np
import pytest
from torch import nn

from report_runs import make_run
from voxplain.corrections.locate import locate
from voxplain.model import VideoModel
from voxplain.segment import Supervoxels
from voxplain.video import Clip


def located(volumes, monkeypatch):
    """Examples of clips in which concept 0 is a strip of so many columns; in the run it has 6 of them."""
    run = make_run()
    t, h, w = run.clips[0].frames.shape[:3]
    strip = np.ones((1, t, h, w), np.int16)
    strip[..., :6] = 0
    run = replace(
        run,
        supervoxels=tuple(Supervoxels(strip) for _ in run.clips),
        assigned=tuple(np.array([0, 1]) for _ in run.clips),
    )

    def found(self, model, clip):
        mask = np.zeros((t, h, w), bool)
        mask[..., : int(clip.source)] = True
        return {0: mask} if mask.any() else {}

    monkeypatch.setattr("voxplain.explain.concept_map.ConceptMap.locate", found)
    net = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(3, 2))
    model = VideoModel(net, layer="1", grid=(t, h, w), classes=("a", "b"))
    clips = [Clip(np.zeros((t, h, w, 3), np.uint8), np.arange(t) / 4, str(v)) for v in volumes]
    return locate(model, run, clips, [0] * len(clips), remove=(0,)), w


def test_masks_have_the_rim_and_small_ones_do_not_count(monkeypatch):
    examples, width = located([6, 2, 1, 0], monkeypatch)
    columns = examples.unwanted.any((1, 2)).sum(1)
    assert columns.tolist() == [7, 3, 2, 0]
    assert examples.smallest == pytest.approx(7 / width / 3)
    assert examples.present.tolist() == [True, True, False, False]  # 3 and 2 against 7/3 columns
