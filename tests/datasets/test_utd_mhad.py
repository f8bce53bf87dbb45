"""UTD-MHAD: numbers of actions, the three withdrawn trials, odd and even subjects, silhouettes."""

from pathlib import Path

import numpy as np
from layouts import apart, real, told, touch

from voxplain.datasets.utd_mhad import ACTIONS, silhouettes, utd_mhad, utd_mhad_listing
from voxplain.video import read_video


def test_as_downloaded(tmp_path: Path) -> None:
    withdrawn = {"a8_s1_t4", "a23_s6_t4", "a27_s8_t4"}
    names = [f"a{a}_s{s}_t{t}" for a in range(1, 28) for s in range(1, 9) for t in range(1, 5)]
    root = touch(tmp_path, [f"RGB/{name}_color.avi" for name in names if name not in withdrawn])
    touch(root, ["Depth/a1_s1_t1_depth.mat"])
    train, test = utd_mhad(root)
    assert (len(train), len(test), train.classes) == (431, 430, ACTIONS)
    assert told(train)[0] == ("swipe_left", "a1_s1_t1_color.avi")
    assert told(test)[-1] == ("squat", "a27_s8_t3_color.avi")
    assert all(int(path.name.split("_")[1][1:]) % 2 for path in train.paths)
    assert utd_mhad_listing(root).complete()
    (root / "RGB/a3_s2_t1_color.avi").unlink()
    assert utd_mhad_listing(root).missing("wave") == ["s2_t1"]


def test_the_real_depth_videos() -> None:
    root = real("utd_mhad_depth")
    train, test = utd_mhad(root)
    assert (len(train), len(test), train.classes) == (431, 430, ACTIONS)
    apart(train, test)
    subjects = [{int(path.stem[1]) for path in part.paths} for part in (train, test)]
    assert subjects == [{1, 3, 5, 7}, {2, 4, 6, 8}]
    assert utd_mhad_listing(root).complete()
    frames = read_video(train.paths[0]).frames
    person = silhouettes(frames)
    assert person.shape == frames.shape[:3]
    assert 0.01 < person.mean() < 0.3
    rows, columns = np.nonzero(person[len(person) // 2])
    assert np.ptp(rows) > np.ptp(columns), "somebody stands"
