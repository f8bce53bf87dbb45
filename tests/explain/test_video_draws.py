"""Bootstrap of a TCAV ranking over videos: concepts that a few videos decide vary, those of all videos do not."""

from types import SimpleNamespace

import numpy as np

from voxplain.concepts.settings import ConceptSettings
from voxplain.explain.class_steps import _of_drawn_videos


def test_scores_vary_with_the_videos_that_decide_them():
    rng = np.random.default_rng(0)
    session = SimpleNamespace(settings=ConceptSettings(), model=SimpleNamespace(layer="pool"))
    videos, owners = 8, np.repeat(np.arange(8), 5)
    gradients = np.eye(6)[:1].repeat(videos, 0).astype(np.float32)
    steady = rng.normal(0, 0.1, (40, 6)) + 3 * np.eye(6)[0]
    split = rng.normal(0, 0.1, (40, 6)) + np.where(owners < 4, 3, -3)[:, None] * np.eye(6)[0]  # half of the videos each
    others = rng.normal(0, 1, (1, 40, 6)).astype(np.float32)
    concepts = [x.astype(np.float32) for x in (steady, split)]
    drawn = np.concatenate(
        [_of_drawn_videos(session, concepts, [owners, owners], others, gradients, b) for b in range(40)], 1
    )
    assert drawn.shape == (2, 40)
    assert drawn[0].std() < 0.1 < 0.9 < drawn[0].mean()
    assert drawn[1].std() > 0.2
    again = _of_drawn_videos(session, concepts, [owners, owners], others, gradients, 7)
    assert again.tobytes() == drawn[:, [7]].tobytes()
    reversed_by_few = (
        gradients * np.where(np.arange(videos) < 1, -20, 1).astype(np.float32)[:, None]
    )  # one video's gradient outweighs all
    signs = [_of_drawn_videos(session, concepts[:1], [owners], others, reversed_by_few, b)[0, 0] for b in range(40)]
    without = np.mean(np.array(signs) > 0)  # draws without that video: (7/8)⁸ = 0.34
    assert 0.15 < without < 0.55
