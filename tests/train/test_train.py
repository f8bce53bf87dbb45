"""Training: a run that stops and goes on equals one that never stopped, and every draw is what the recipe says."""

import json
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from voxplain.errors import DataError, ModelError
from voxplain.model import VideoModel
from voxplain.nets.checkpoint import read_checkpoint
from voxplain.train import Recipe, TrainingVideos, accuracy, load_videos, train
from voxplain.train.recipe import WARMUP
from voxplain.video import Geometry
from voxplain.video.encode import write_video

GRID = (4, 8, 8)
GEOMETRY = Geometry((10, 12), (8, 8))
WHOLE = Geometry((8, 8), (8, 8))
CLASSES = ("red", "green", "blue")
RECIPE = Recipe(epochs=4, batch=5, lr=0.05, lr_step=2, seed=3)


def toy(count: int = 15, seed: int = 0, size: tuple[int, int] = GEOMETRY.resize, frames: int = 6) -> TrainingVideos:
    """Noise with more light in one channel: the class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    videos = []
    for i, y in enumerate(labels):
        video = rng.integers(0, 160, (frames + i % 3, *size, 3))
        video[..., y] += 60
        videos.append(video.astype(np.uint8))
    return TrainingVideos(tuple(videos), labels)


def small_net(seed: int = 0) -> nn.Sequential:
    """All that holds state or draws by chance: convolution, batch norm, dropout."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv3d(3, 6, 3, stride=2, padding=1),
        nn.BatchNorm3d(6),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(6, 3),
    )


def model(net: nn.Module | None = None, **options) -> VideoModel:
    net = (small_net() if net is None else net).eval()  # as the rest of the library holds it: train must switch
    return VideoModel(**{"net": net, "layer": next(iter(net._modules)), "grid": GRID, "classes": CLASSES, **options})


def state(m: VideoModel) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in m.net.state_dict().items()}


def run(m: VideoModel, recipe: Recipe = RECIPE, videos: TrainingVideos | None = None, **options):
    return train(m, videos or toy(), **{"geometry": GEOMETRY, "recipe": recipe, **options})


# --- learning ---


def test_the_loss_falls_and_the_classes_are_learnt():
    m = model(small_net())
    logs = run(m, Recipe(epochs=15, batch=10, lr=0.1, lr_step=10), toy(30), test=toy(12, seed=9))
    assert [log.epoch for log in logs] == list(range(1, 16))
    assert logs[0].loss == pytest.approx(np.log(3), abs=0.4)  # nats at chance
    assert logs[-1].loss < 0.5 * logs[0].loss
    assert logs[-1].test_accuracy == 1
    assert logs[-1].train_accuracy > 0.9
    matrix = accuracy(m, toy(12, seed=9), GEOMETRY)
    assert matrix.tolist() == [[4, 0, 0], [0, 4, 0], [0, 0, 4]]


def test_steps_are_sgd_with_momentum_and_decay_on_the_cross_entropy():
    """One batch of whole videos, nothing random: the same updates written out."""
    recipe = Recipe(
        epochs=5, batch=9, lr=0.2, lr_step=3, lr_factor=0.5, momentum=0.8, weight_decay=0.01, flip=0, warmup=0
    )
    videos = toy(9, size=(8, 8), frames=4)
    videos = TrainingVideos(tuple(f[:4] for f in videos.frames), videos.labels)
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 8 * 8, 3)).double()
    start = {name: p.detach().clone().requires_grad_() for name, p in net.named_parameters()}
    m = model(net)
    logs = run(m, recipe, videos, geometry=WHOLE)
    x = torch.from_numpy(np.stack(videos.frames)).permute(0, 4, 1, 2, 3).double()
    x = ((x / 255 - 0.5) / 0.25).flatten(1)
    weight, bias = start["1.weight"], start["1.bias"]
    speed = [torch.zeros_like(weight), torch.zeros_like(bias)]
    for epoch, log in enumerate(logs):
        loss = nn.functional.cross_entropy(x @ weight.T + bias, torch.from_numpy(videos.labels))
        assert log.loss == pytest.approx(loss.item(), rel=1e-5)
        steps = torch.autograd.grad(loss, [weight, bias])
        rate = 0.2 if epoch < 3 else 0.1
        assert log.lr == pytest.approx(rate)
        with torch.no_grad():
            for i, (p, g) in enumerate(zip((weight, bias), steps, strict=True)):
                speed[i] = 0.8 * speed[i] + g + 0.01 * p
                p -= rate * speed[i]
    torch.testing.assert_close(net[1].weight, weight, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(net[1].bias, bias, rtol=1e-5, atol=1e-7)


def test_learning_rate_of_the_papers():
    paper = Recipe()
    assert (paper.epochs, paper.batch, paper.momentum) == (150, 64, 0.9)
    assert [paper.rate(e) for e in (0, 49)] == [0.01, 0.01]
    assert [paper.rate(e) for e in (50, 99)] == pytest.approx([1e-3, 1e-3])
    assert [paper.rate(e) for e in (100, 149)] == pytest.approx([1e-4, 1e-4])


def test_the_schedule_reaches_the_weights():
    logs, nets = [], []
    for epochs in (1, 2):
        m = model(nn.Sequential(nn.Flatten(), small_linear()))
        logs.append(run(m, Recipe(epochs=epochs, batch=5, lr=0.1, lr_step=1, lr_factor=0.0)))
        nets.append(state(m))
    assert nets[0] == nets[1]  # the second epoch has a rate of zero
    assert nets[0] != state(model(nn.Sequential(nn.Flatten(), small_linear())))
    assert [log.lr for log in logs[1]] == [0.1, 0.0]


def small_linear() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(3 * 4 * 8 * 8, 3)


def test_same_seed_same_weights():
    first, again, other = model(), model(), model()
    assert run(first) == run(again)
    run(other, replace(RECIPE, seed=4))
    assert state(first) == state(again)
    assert state(first) != state(other)


# --- what is drawn ---


class Seen(nn.Module):
    """A linear network that notes the clips it is trained on, as uint8 [B,T,H,W,3]."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.clips: list[np.ndarray] = []
        self.batches: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            pixels = ((x * 0.25 + 0.5) * 255).round().permute(0, 2, 3, 4, 1)
            self.clips += list(pixels.numpy().astype(int))
            self.batches.append(len(x))
        return self.linear(x.mean((2, 3, 4)))


def labelled(count: int = 6, frames: int = 9) -> TrainingVideos:
    """Every voxel says where it is: red = 10·frame, green = 10·row + video, blue = 10·column."""
    t, y, x = np.indices((frames, *GEOMETRY.resize))
    made = [np.stack([10 * t, 10 * y + i, 10 * x], -1).astype(np.uint8) for i in range(count)]
    return TrainingVideos(tuple(made), np.arange(count) % 3)


def drawn(recipe: Recipe, **options) -> list[tuple[int, int, int, int, bool]]:
    """(video, first frame, top, left, mirrored) of each clip trained on; fails unless it is a cut of the video."""
    net = Seen()
    run(model(net, **options), recipe, labelled())
    found = []
    for clip in net.clips:
        t, y, x = clip[:, 0, 0, 0] // 10, clip[0, :, 0, 1] // 10, clip[0, 0, :, 2] // 10
        assert (np.diff(t) == recipe.stride).all()
        assert (np.diff(y) == 1).all()
        mirrored = x[0] > x[-1]
        assert (np.diff(x) == (-1 if mirrored else 1)).all()
        assert np.array_equal(clip[..., 0], np.broadcast_to(10 * t[:, None, None], GRID))
        assert np.array_equal(clip[..., 2], np.broadcast_to(10 * x, GRID))
        found.append((int(clip[0, 0, 0, 1] % 10), int(t[0]), int(y[0]), int(x.min()), bool(mirrored)))
    return found


def test_every_place_is_drawn_and_half_of_the_clips_are_mirrored():
    found = drawn(Recipe(epochs=60, batch=4, lr=1e-6))
    videos, starts, tops, lefts, mirrored = zip(*found, strict=True)
    assert Counter(videos) == dict.fromkeys(range(6), 60)  # each video once an epoch
    assert set(starts) == set(range(6))
    assert set(tops) == set(range(3))
    assert set(lefts) == set(range(5))
    assert min(Counter(starts).values()) > 30  # 60 expected of each, standard deviation 7
    assert 0.4 < np.mean(mirrored) < 0.6
    orders = {videos[i : i + 6] for i in range(0, len(videos), 6)}
    assert len(orders) > 30


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_flip_0_never_mirrors_and_1_always(flip):
    assert {m for *_, m in drawn(Recipe(epochs=20, batch=6, lr=1e-6, flip=flip))} == {flip == 1}


def test_stride_leaves_frames_out():
    assert {start for _, start, *_ in drawn(Recipe(epochs=10, batch=6, lr=1e-6, stride=2))} == {0, 1, 2}


@pytest.mark.parametrize(("batch", "sizes"), [(6, [6]), (4, [3, 3]), (1, [1] * 6), (64, [6])])
def test_batches_are_even(batch, sizes):
    net = Seen()
    run(model(net), Recipe(epochs=1, batch=batch, lr=1e-6), labelled())
    assert net.batches == sizes


# --- test videos ---


def test_the_test_set_is_measured_and_never_trained_on():
    alone, watched = model(), model()
    without, with_test = run(alone), run(watched, test=toy(6, seed=8))
    assert state(alone) == state(watched)  # batch norm's running means too
    assert [replace(log, test_accuracy=None) for log in with_test] == without
    assert all(log.test_accuracy is not None for log in with_test)
    assert with_test[-1].test_accuracy == np.trace(accuracy(watched, toy(6, seed=8), GEOMETRY)) / 6


def test_accuracy_takes_the_middle_clip_and_the_centre_crop():
    """A network that gives class 0 unless it sees exactly the middle frames and the centre."""
    seen = []

    class Centre(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.same = nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(((x * 0.25 + 0.5) * 255).round().permute(0, 2, 3, 4, 1).numpy()[:, 0, 0, 0])
            return self.same(x).mean((3, 4))[:, :, 0] * 0 + torch.tensor([0.0, 2, 1])

    known = model(Centre(), layer="same", batch_size=4).settled()
    seen.clear()
    matrix = accuracy(known, labelled(), GEOMETRY)
    assert matrix.dtype == np.int64
    assert matrix.tolist() == [[0, 2, 0], [0, 2, 0], [0, 2, 0]]  # rows are the truth, columns what was said
    corners = np.concatenate(seen)
    assert corners[:, 0].tolist() == [20] * 6  # 4 of 9 frames: the middle starts at 2
    assert corners[:, 1].tolist() == [10 + i for i in range(6)]
    assert corners[:, 2].tolist() == [20] * 6
    seen.clear()
    known = model(Centre(), layer="same").settled()
    seen.clear()
    accuracy(known, labelled(), GEOMETRY, stride=2)
    assert np.concatenate(seen)[0, 0] == 10  # 7 of 9 frames


# --- stopping and going on ---


def test_a_resumed_run_is_bit_for_bit_an_uninterrupted_one(tmp_path):
    whole, first, second = model(), model(), model(small_net(seed=1))
    logs = run(whole, checkpoint=tmp_path / "whole.safetensors", test=toy(6, seed=8))
    part = tmp_path / "part.safetensors"
    head = run(first, replace(RECIPE, epochs=2), checkpoint=part, test=toy(6, seed=8))
    torch.manual_seed(99)
    assert run(second, checkpoint=part, test=toy(6, seed=8)) == logs
    assert head == logs[:2]
    assert state(second) == state(whole) != state(first)
    assert part.read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


def test_a_run_killed_within_an_epoch_goes_on_from_its_start(tmp_path):
    path, done = tmp_path / "c.safetensors", []

    def advance() -> None:
        done.append(1)
        if len(done) == 8:  # three steps an epoch
            raise KeyboardInterrupt

    killed = model()
    with pytest.raises(KeyboardInterrupt):
        run(killed, checkpoint=path, advance=advance)
    assert not killed.net.training
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    told = []
    resumed, whole = model(small_net(seed=1)), model()
    logs = run(resumed, checkpoint=path, on_epoch=told.append)
    assert [log.epoch for log in told] == [3, 4]
    assert logs == run(whole)
    assert state(resumed) == state(whole)


def test_momentum_is_part_of_the_checkpoint(tmp_path):
    path = tmp_path / "c.safetensors"
    run(model(), replace(RECIPE, epochs=1), checkpoint=path)
    tensors, facts = read_checkpoint(path)
    parameters = list(small_net().parameters())
    assert [tensors[f"momentum.{i}"].shape for i in range(len(parameters))] == [p.shape for p in parameters]
    assert any(tensors[f"momentum.{i}"].any() for i in range(len(parameters)))
    assert len(json.loads(facts["logs"])) == 1
    assert json.loads(facts["recipe"]) == asdict(replace(RECIPE, epochs=1))


def test_a_finished_run_is_not_trained_again(tmp_path):
    path, m = tmp_path / "c.safetensors", model()
    logs = run(m, checkpoint=path)
    before, steps = path.read_bytes(), []
    again = model(small_net(seed=1))
    assert run(again, checkpoint=path, advance=lambda: steps.append(1)) == logs
    assert not steps
    assert state(again) == state(m)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("named", "recipe", "videos", "options"),
    [
        (f"--seed {RECIPE.seed}, got 4", replace(RECIPE, seed=4), None, {}),
        (f"--lr {RECIPE.lr}, got 0.04", replace(RECIPE, lr=0.04), None, {}),
        (
            f"--lr-step {RECIPE.lr_step}, got 9 and --flip {RECIPE.flip}, got 0.0",
            replace(RECIPE, flip=0.0, lr_step=9),
            None,
            {},
        ),
        ("the same classes of the data", RECIPE, None, {"classes": ("red", "green", "violet")}),
        (r"the same size of the input \(--resize\)", RECIPE, None, {"mean": (0.4, 0.5, 0.5)}),
        ("the same videos and their labels", RECIPE, toy(14), {}),
        ("the same videos and their labels", RECIPE, toy(15, frames=7), {}),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, named, recipe, videos, options):
    path = tmp_path / "c.safetensors"
    run(model(), replace(RECIPE, epochs=1), checkpoint=path)
    m = model(**options)
    before, kept = state(m), path.read_bytes()
    with pytest.raises(DataError, match=rf"^expected {named}: the checkpoint c\.safetensors is of another run; give"):
        run(m, recipe, videos, checkpoint=path)
    assert state(m) == before
    assert path.read_bytes() == kept


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    path = tmp_path / "c.safetensors"
    run(model(), replace(RECIPE, epochs=1), checkpoint=path)
    activation = small_net()
    place = next(i for i, module in enumerate(activation) if isinstance(module, nn.ReLU))
    activation[place] = nn.Tanh()  # the same weights by name and shape
    for other in (activation, nn.Sequential(nn.Flatten(), small_linear())):
        with pytest.raises(DataError, match=r"^expected the same network \(--net\): the checkpoint c"):
            run(model(other), checkpoint=path)


# --- what goes wrong ---


def test_a_loss_that_is_no_number_stops_the_run(tmp_path):
    m, path = model(), tmp_path / "c.safetensors"
    with pytest.raises(ModelError, match="expected a finite loss, got nan in epoch 1; lower the learning rate"):
        run(m, replace(RECIPE, lr=1e30), checkpoint=path)
    assert not m.net.training
    assert not path.exists()


def test_weights_broken_by_the_last_step_are_never_saved(tmp_path):
    m, path = model(nn.Sequential(nn.Flatten(), small_linear())), tmp_path / "c.safetensors"
    with pytest.raises(ModelError, match=r"finite weights, got NaN or infinity in 1\.weight after epoch 1; lower"):
        run(m, replace(RECIPE, batch=15, lr=float("inf")), checkpoint=path)
    assert not path.exists()


def test_evaluation_mode_afterwards():
    m = model()
    m.net.train()
    run(m, replace(RECIPE, epochs=1))
    assert not any(part.training for part in m.net.modules())


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("labels", [[0, 1, 3], [0, -100, 2]])
def test_labels_that_no_class_has(labels, named):
    videos = TrainingVideos(toy(3).frames, np.array(labels))
    m = model(classes=CLASSES if named else ())
    text = f"labels from 0 to 2 for 3 classes, got {min(labels)} to {max(labels)}; build the network with"
    with pytest.raises(DataError, match=text):
        run(m, videos=videos)
    with pytest.raises(DataError, match=text):
        accuracy(m, videos, GEOMETRY)
    if named:
        with pytest.raises(DataError, match=text):
            run(m, test=videos)


def test_a_crop_that_is_not_the_models():
    with pytest.raises(DataError, match=r"a crop of the model's \(8, 8\), got \(6, 6\); set one to the other"):
        run(model(), geometry=Geometry((10, 12), (6, 6)))


def test_no_videos():
    with pytest.raises(DataError, match="expected videos to train on, got none; give at least one"):
        run(model(), videos=TrainingVideos((), np.zeros(0, np.int64)))


def test_videos_check_themselves():
    videos = TrainingVideos(toy(3).frames, np.arange(3), (("a.mp4", "why"),))
    assert repr(videos) == "TrainingVideos(videos=3, skipped=1)"
    with pytest.raises(DataError, match="a label a video, got 2 for 3 videos"):
        TrainingVideos(videos.frames, np.arange(2))


# --- reading ---


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Videos of 40, 90 and 140 grey levels, a file that is no video after the first, and one that is not there."""
    for i, level in enumerate((40, 90, 140)):
        write_video(tmp_path / f"{i}.mp4", np.full((5, 20, 24, 3), level, np.uint8))
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    return [tmp_path / name for name in ("0.mp4", "bad.mp4", "1.mp4", "2.mp4", "missing.mp4")]


@pytest.mark.parametrize("workers", [1, 3])
def test_bad_videos_are_skipped_and_listed(files, workers):
    steps = []
    got = load_videos(files, [5, 6, 7, 8, 9], GEOMETRY, workers=workers, advance=lambda: steps.append(1))
    assert got.labels.tolist() == [5, 7, 8]
    assert [f.shape for f in got.frames] == [(5, 10, 12, 3)] * 3
    assert [f.mean() for f in got.frames] == pytest.approx([40, 90, 140], abs=4)
    assert [Path(name).name for name, _ in got.skipped] == ["bad.mp4", "missing.mp4"]
    assert all("bad.mp4" in why or "missing.mp4" in why for _, why in got.skipped)
    assert len(steps) == 5


def test_nothing_but_bad_videos(files):
    with pytest.raises(DataError, match="expected videos to train on, got none that can be read of 2"):
        load_videos([files[1], files[4]], [0, 1], GEOMETRY)


def test_as_many_labels_as_files(files):
    with pytest.raises(DataError, match="a label a video, got 2 for 5 videos"):
        load_videos(files, [0, 1], GEOMETRY)


def test_the_rate_rises_in_the_first_steps_of_networks_without_batch_norm():
    """The rate that the optimiser has at each step, of a run and of one that goes on after a stop."""
    assert [Recipe(warmup=4).rise(step, True) for step in range(5)] == [0.25, 0.5, 0.75, 1, 1]
    assert Recipe().rise(0, True) == 1, "batch norm needs none"
    assert Recipe().rise(0, False) == 1 / WARMUP
    assert Recipe(warmup=0).rise(0, False) == 1
    with pytest.raises(DataError, match="warmup of 0 steps"):
        Recipe(warmup=-1)


@pytest.mark.parametrize(("normalised", "factors"), [(False, [0.2, 0.4, 0.6, 0.8]), (True, [1, 1, 1, 1])])
def test_steps_take_the_rising_rate(normalised, factors, monkeypatch):
    """Gradients of a linear score are constant: without momentum the steps are the rates."""
    monkeypatch.setattr("voxplain.train.recipe.WARMUP", 5)
    seen = []
    plain = torch.optim.SGD.step

    def step(self, *args):
        seen.append(self.param_groups[0]["lr"])
        return plain(self, *args)

    monkeypatch.setattr(torch.optim.SGD, "step", step)
    norm = [nn.BatchNorm3d(2)] if normalised else []
    net = nn.Sequential(nn.Conv3d(3, 2, 3), *norm, nn.Flatten(), nn.LazyLinear(3))
    net(torch.zeros(2, 3, 4, 8, 8))
    run(model(net), Recipe(epochs=2, batch=5, lr=0.1), toy(10))
    assert seen == pytest.approx([0.1 * f for f in factors])
