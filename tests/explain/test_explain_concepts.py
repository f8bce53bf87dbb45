"""The whole story on small planted clips: same bytes, nothing mixed up, nothing left on the network."""

import copy
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import voxplain as vx
from voxplain.cli import settings_as_options
from voxplain.cli.app import app
from voxplain.concepts.cluster import KMeans
from voxplain.concepts.context import ContextFeatures
from voxplain.concepts.evaluate import AddRemove
from voxplain.concepts.features import Embedding
from voxplain.explain import class_steps
from voxplain.explain.tasks import ClassGradient, EmbedSupervoxels
from voxplain.inference import Inference
from voxplain.report import montage
from voxplain.runtime import ThreadExecutor, arithmetic
from voxplain.segment import SLIC
from voxplain.store import save_run

TINY = vx.ConceptSettings(
    segmenter=SLIC(segments=(4, 8)),
    clusterer=KMeans(clusters=4),
    keep=3,
    unrelated_crops=12,
    random_sets=4,
    evaluation=AddRemove(steps=2, draws=2, matched=1),
)


@dataclass(frozen=True)
class Videos:
    """Clips of the small planted set."""

    train: dict[str, tuple[vx.Clip, ...]]
    test: dict[str, tuple[vx.Clip, ...]]
    unrelated: tuple[vx.Clip, ...]


@pytest.fixture(scope="module")
def model() -> vx.VideoModel:
    return vx.load_model("planted")


@pytest.fixture(scope="module")
def videos(small_set: Path, model: vx.VideoModel) -> Videos:
    def read(place: str) -> tuple[vx.Clip, ...]:
        return vx.read_clips(small_set / place, model.reader()).clips

    names = ("cross", "orbit")
    return Videos({n: read(f"train/{n}") for n in names}, {n: read(f"test/{n}") for n in names}, read("unrelated"))


def tell(
    model: vx.VideoModel, videos: Videos, name: str, store: Path | None, settings: vx.ConceptSettings = TINY
) -> vx.ConceptRun:
    run = vx.explain_concepts(
        model, videos.train[name], random=videos.unrelated, target=name, settings=settings, store=store
    )
    return vx.evaluate_concepts(run, videos.test[name], settings=settings, store=store)


@pytest.fixture(scope="module")
def cross(model: vx.VideoModel, videos: Videos, tmp_path_factory: pytest.TempPathFactory) -> tuple[vx.ConceptRun, Path]:
    store = tmp_path_factory.mktemp("cross") / "store"
    return tell(model, videos, "cross", store), store


def as_json(run: vx.ConceptRun) -> str:
    return json.dumps(vx.table_json(run))


def results(run: vx.ConceptRun, folder: Path) -> dict[str, bytes]:
    """All that a run writes, by name."""
    folder.mkdir(exist_ok=True)
    (folder / "concepts.json").write_text(as_json(run))
    (folder / "concepts.csv").write_text(vx.table_csv(run))
    for row in run.rows():
        Image.fromarray(montage(run, row.concept)).save(folder / f"concept_{row.concept}.png")
    vx.write_report(run, folder / "report.html")
    return bytes_of(folder)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_same_seed_same_bytes_of_every_file(
    model: vx.VideoModel, videos: Videos, cross: tuple[vx.ConceptRun, Path], tmp_path: Path
) -> None:
    first, store = cross
    second = tell(model, videos, "cross", tmp_path / "store")
    one, two = results(first, tmp_path / "one"), results(second, tmp_path / "two")
    assert sorted(one) == sorted(two)
    assert {name.split(".")[-1] for name in one} == {"json", "csv", "png", "html"}
    assert [name for name in one if one[name] != two[name]] == []
    assert bytes_of(store) == bytes_of(tmp_path / "store")


def test_results_and_what_is_stored_do_not_depend_on_the_batch_size_or_the_workers(
    model: vx.VideoModel, videos: Videos, cross: tuple[vx.ConceptRun, Path], tmp_path: Path
) -> None:
    """The interval of an effect moved with the batch size: seeds and draws follow the bytes of the features."""
    first, store = cross
    seven = replace(model, batch_size=7)
    run = vx.explain_concepts(
        seven,
        videos.train["cross"],
        random=videos.unrelated,
        target="cross",
        settings=TINY,
        store=tmp_path / "store",
        executor=partial(ThreadExecutor, workers=1),
    )
    run = vx.evaluate_concepts(run, videos.test["cross"], settings=TINY, store=tmp_path / "store")
    save_run(tmp_path / "one", first)
    save_run(tmp_path / "two", run)
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")
    assert bytes_of(store) == bytes_of(tmp_path / "store")


def test_fewer_clips_in_a_pass_than_every_batch_size_gives_have_keys_of_their_own(model: vx.VideoModel) -> None:
    same = {arithmetic(replace(model, batch_size=n), "fp32") for n in (4, 7, 32)}
    assert same == {"fp32"}
    assert arithmetic(replace(model, batch_size=2), "fp32") == "fp32, 2 clips a pass"


def test_another_seed_gives_other_figures(
    model: vx.VideoModel, videos: Videos, cross: tuple[vx.ConceptRun, Path]
) -> None:
    other = tell(model, videos, "cross", None, replace(TINY, seed=1))
    shown = [vx.table_json(run)["scores"]["tcav"]["value"] for run in (cross[0], other)]
    assert shown[0] != shown[1]


def test_classes_and_layers_that_share_a_store_are_not_mixed_up(
    model: vx.VideoModel, videos: Videos, cross: tuple[vx.ConceptRun, Path], tmp_path: Path
) -> None:
    lower, store = replace(model, layer="block3"), tmp_path / "store"
    shutil.copytree(cross[1], store)
    asked = [("cross", lower), ("orbit", lower), ("cross", model)]
    shared = [as_json(tell(seen, videos, name, store)) for name, seen in asked]
    assert len(set(shared)) == 3
    assert shared[1] == as_json(tell(lower, videos, "orbit", None))
    assert shared[2] == as_json(cross[0])


def test_a_class_in_a_run_of_several_is_written_as_alone(small_set: Path, tmp_path: Path) -> None:
    def concepts(output: Path, *classes: str) -> None:
        words = ["concepts", small_set, "--class", *classes, "--net", "planted", "--segmenter", "slic"]
        tiny = ["--segmenter.segments", 4, 8, "--clusterer", "kmeans", "--clusterer.clusters", 4, "--keep", 3]
        tiny += ["--unrelated-crops", 12, "--random-sets", 4, "-o", output]
        app(settings_as_options([str(w) for w in (*words, *tiny)]), exit_on_error=False, result_action="return_value")

    concepts(tmp_path / "both", "orbit", "cross")
    concepts(tmp_path / "alone", "cross")
    both, alone = (bytes_of(tmp_path / run / "cross") for run in ("both", "alone"))
    assert {"concepts.json", "concepts.csv"} < set(alone)
    assert both == alone
    assert bytes_of(tmp_path / "both" / "orbit")["concepts.json"] != alone["concepts.json"]


def test_the_end_points_are_the_unmodified_prediction(
    model: vx.VideoModel, videos: Videos, cross: tuple[vx.ConceptRun, Path]
) -> None:
    clips = videos.test["cross"]
    plain = np.concatenate([model.logits(clip.frames[None]).numpy() for clip in clips])
    accuracy = float((plain.argmax(1) == model.class_index("cross")).mean())
    evaluation = cross[0].evaluation
    assert evaluation is not None
    for steps, whole, blank in ((evaluation.adding, -1, 0), (evaluation.removing, 0, -1)):
        np.testing.assert_allclose(steps.unmodified, plain, rtol=0.02, atol=0.1)  # bfloat16 where the hardware has it
        for order in range(len(steps.names)):
            assert np.array_equal(steps.logits[order, :, whole], steps.unmodified)
            assert not np.array_equal(steps.logits[order, :, blank], steps.unmodified)
        assert steps.baseline() == accuracy
        assert (steps.right()[:, :, whole].mean(1) == accuracy).all()
        assert (steps.matched_right[:, whole].mean()) == accuracy
        assert (steps.coverage[..., -1] == 1).all()


def copies(clip: vx.Clip, count: int) -> list[vx.Clip]:
    return [replace(clip, source=f"{i}.mp4") for i in range(count)]


def test_identical_videos_count_once(model: vx.VideoModel, videos: Videos) -> None:
    """Ten copies of one video once gave an interval of width 0, "significant", without a note."""
    one = [videos.train["cross"][0], videos.train["cross"][1]]
    alone = vx.explain_concepts(model, one, random=videos.unrelated, target="cross", settings=TINY)
    many = [one[0], *copies(one[0], 5), one[1], *copies(one[1], 4)]
    random = [*videos.unrelated, *copies(videos.unrelated[0], 2)]
    run = vx.explain_concepts(model, many, random=random, target="cross", settings=TINY)
    assert [c.source for c in run.clips] == [c.source for c in alone.clips]
    np.testing.assert_array_equal(run.scores["effect"].interval, alone.scores["effect"].interval)
    np.testing.assert_array_equal(run.scores["effect"].p_value, alone.scores["effect"].p_value)
    np.testing.assert_array_equal(run.cavs.vectors, alone.cavs.vectors)
    said = " ".join(map(str, run.warnings))
    assert "9 videos of “cross” have the same frames as others and were dropped" in said
    assert "2 unrelated videos have the same frames" in said
    assert "the same frames" not in " ".join(map(str, alone.warnings))


def test_near_identical_videos_bring_a_warning(model: vx.VideoModel, videos: Videos) -> None:
    clips = [*videos.train["cross"], changed(videos.train["cross"][0], 1)]
    random = [*videos.unrelated, changed(videos.train["cross"][1], 1)]
    run = vx.explain_concepts(model, clips, random=random, target="cross", settings=TINY)
    assert len(run.clips) == len(clips)
    said = " ".join(map(str, run.warnings))
    assert "1 of 5 videos of “cross” look almost the same as others" in said
    assert "1 videos of “cross” look almost the same as unrelated videos" in said


def test_copies_among_test_videos(model: vx.VideoModel, videos: Videos, cross: tuple[vx.ConceptRun, Path]) -> None:
    test = videos.test["cross"]
    leaked = [*test, *copies(test[0], 3), videos.train["cross"][0], changed(videos.train["cross"][1], 1)]
    run = vx.evaluate_concepts(cross[0], leaked, model=model, settings=TINY)
    assert run.evaluation is not None
    assert len(run.evaluation.adding.truth) == len(test) + 2
    said = " ".join(map(str, run.warnings))
    assert "3 test clips have the same frames as others and were dropped" in said
    assert "1 of 4 test clips are clips that the concepts were found in" in said
    assert "1 of 4 test clips look almost the same as clips that the concepts were found in" in said


def changed(clip: vx.Clip, by: int) -> vx.Clip:
    """A copy that differs by one grey level in one pixel, as a re-encoded one does in many."""
    frames = clip.frames.copy()
    frames[0, 0, 0, 0] ^= by
    return replace(clip, frames=frames, source=f"changed {clip.source}")


class Rounded(ContextFeatures):
    """Features in tenths: a voxel changes those of all regions of its clip, by less than 1e-6."""

    def embed(self, *args: Any, **options: Any) -> Embedding:
        found = super().embed(*args, **options)
        return replace(found, values=found.values.round(1))


def test_fewer_distinct_supervoxels_than_clusters_work(model: vx.VideoModel, videos: Videos) -> None:
    exact = Inference(precision="fp32")
    settings = replace(TINY, segmenter=SLIC(segments=(4,)), embedder=Rounded(contribution=0.0), inference=exact)
    settings = replace(settings, clusterer=KMeans(clusters=9), keep=2)
    clips = [changed(videos.train["cross"][0], i) for i in range(1, 9)]
    unrelated = [*videos.unrelated[:4], *(changed(videos.unrelated[4], i) for i in range(1, 5))]
    run = vx.explain_concepts(model, clips, random=unrelated, target="cross", settings=settings)
    assert 1 <= len(run.bank) <= 9
    assert run.bank.sizes.max() == 8, "a supervoxel has the same features in every clip"
    assert np.isfinite([row.score for row in run.rows()]).all()


def one_sentence(error: BaseException) -> str:
    text = str(error)
    assert "\n" not in text
    assert re.search(r"expected|should", text), "what was expected"
    assert re.search(r"got|none did", text), "what came"
    assert re.search(r"[;:] ?\w+ ", text), "what to do"
    return text


def test_clusters_of_single_supervoxels_are_refused_in_one_sentence(model: vx.VideoModel, videos: Videos) -> None:
    settings = replace(TINY, segmenter=SLIC(segments=(4,)), clusterer=KMeans(clusters=25))
    with pytest.raises(vx.DataError, match="ask for fewer clusters") as caught:
        vx.explain_concepts(model, videos.train["cross"], random=videos.unrelated, target="cross", settings=settings)
    one_sentence(caught.value)


@pytest.mark.parametrize("count", [1, 3])
def test_too_few_unrelated_videos_are_refused_before_any_work(
    model: vx.VideoModel, videos: Videos, tmp_path: Path, count: int
) -> None:
    with pytest.raises(vx.DataError, match=f"at least 4 different unrelated videos, got {count}") as caught:
        vx.explain_concepts(
            model,
            videos.train["cross"],
            random=videos.unrelated[:count],
            target="cross",
            settings=TINY,
            store=tmp_path / "store",
        )
    assert "give a folder with more" in one_sentence(caught.value)
    assert not (tmp_path / "store").exists()


def test_four_unrelated_videos_are_enough_for_the_default(model: vx.VideoModel, videos: Videos) -> None:
    """Regions are few: null concepts need as many as a concept of the class does, and no more."""
    run = vx.explain_concepts(model, videos.train["cross"], random=videos.unrelated[:4], target="cross")
    assert run.preset == "default"
    assert len(run.scores["tcav"].null) >= 2


def test_an_unrelated_video_of_the_class_is_refused(model: vx.VideoModel, videos: Videos) -> None:
    leaking = [*videos.unrelated, videos.train["cross"][1]]
    with pytest.raises(vx.DataError, match="same frames as") as caught:
        vx.explain_concepts(model, videos.train["cross"], random=leaking, target="cross", settings=TINY)
    assert "take it out of the unrelated videos" in one_sentence(caught.value)


def state(net: nn.Module) -> tuple[object, ...]:
    """Everything of a network that an explanation could leave changed."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return (
        [(name, m.training, *(len(getattr(m, h)) for h in hooks)) for name, m in net.named_modules()],
        [(name, p.requires_grad, p.grad is None) for name, p in net.named_parameters()],
        sorted(net.__dict__),
    )


def tensors(net: nn.Module) -> Sequence[tuple[str, torch.Tensor]]:
    return [(name, value.clone()) for name, value in net.state_dict().items()]


@pytest.mark.parametrize("fails", [False, True])
def test_the_network_is_left_exactly_as_it_was_found(
    model: vx.VideoModel, videos: Videos, fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = copy.deepcopy(model.net).train()
    net.get_submodule("block2").eval()
    net.get_submodule("head").requires_grad_(False)
    seen: list[str] = []
    net.get_submodule("block1").register_forward_hook(lambda *_: seen.append("user's hook"))
    before, values = state(net), tensors(net)
    if fails:

        def break_off(*args: object, **kwargs: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("voxplain.explain.class_steps.directional_derivatives", break_off)
        with pytest.raises(KeyboardInterrupt):
            tell(replace(model, net=net), videos, "cross", None)
    else:
        tell(replace(model, net=net), videos, "cross", None)
    assert seen
    assert state(net) == before
    for (name, old), (same, new) in zip(values, tensors(net), strict=True):
        assert name == same
        assert torch.equal(old, new), name
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_features_that_the_network_does_not_give_are_an_error_before_any_work(videos: Videos, tmp_path: Path) -> None:
    class Flat(nn.Module):
        """A network without maps over time and space."""

        def __init__(self) -> None:
            super().__init__()
            self.first, self.head = nn.Linear(3 * 16 * 64 * 64, 2), nn.Linear(2, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.first(x.flatten(1)))

    model = vx.VideoModel(net=Flat(), layer="first", grid=(16, 64, 64))
    with pytest.raises(vx.ModelError, match=r"network with maps over time and space .*; choose the embedder crops"):
        vx.explain_concepts(
            model, videos.train["cross"], random=videos.unrelated, target=0, settings=TINY, store=tmp_path / "s"
        )
    assert [p.name for p in (tmp_path / "s").iterdir()] == []


def test_features_in_context_bring_the_gradient_of_the_same_forward(model: vx.VideoModel, videos: Videos) -> None:
    clip = videos.train["cross"][0]
    parts = TINY.segmenter(clip)
    ids = np.arange(parts.count)
    wanted = (model.class_index("cross"), "log_odds")
    found = EmbedSupervoxels(clip, parts.labels, ids, ContextFeatures(), wanted).compute(model)
    alone = EmbedSupervoxels(clip, parts.labels, ids, ContextFeatures().without_class()).compute(model)
    gradient = ClassGradient(clip, *wanted).compute(model)["gradient"]
    assert set(found) == {"values", "layer_values", "gradient", "logits"}
    assert set(alone) == {"values", "layer_values", "logits"}
    np.testing.assert_allclose(found["gradient"], gradient, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["values"][:, : alone["values"].shape[1]], alone["values"], atol=1e-5)
    np.testing.assert_allclose(found["layer_values"], alone["layer_values"], atol=1e-5)
    assert np.abs(gradient).max() > 0


def test_a_layer_behind_the_mean_of_a_map_can_be_explained_at(model: vx.VideoModel, videos: Videos) -> None:
    behind = replace(model, layer="head")
    options = {"random": videos.unrelated, "target": "cross", "settings": TINY}
    run, usual = (vx.explain_concepts(m, videos.train["cross"], **options) for m in (behind, model))
    assert run.layer == "head"
    np.testing.assert_allclose(run.scores["effect"].value, usual.scores["effect"].value, atol=1e-4)
    assert run.cavs.vectors.shape == usual.cavs.vectors.shape


def test_a_concept_without_a_direction_does_not_end_the_class(
    model: vx.VideoModel,
    videos: Videos,
    cross: tuple[vx.ConceptRun, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, fit = cross[0], class_steps.fit_cavs

    def without(concepts: Sequence[torch.Tensor], negatives: torch.Tensor, **options: Any) -> vx.CAVs:
        """As `fit_cavs`, with the same features in the first concept and in the first random set."""
        flat = torch.ones_like(negatives[:1])
        return fit([flat[0], *concepts[1:]], torch.cat([flat, negatives[1:]]), **options)

    monkeypatch.setattr(class_steps, "fit_cavs", without)
    run = tell(model, videos, "cross", cross[1], replace(TINY, ranking="tcav"))
    assert np.isnan(run.scores["tcav"].value).tolist() == [True, *([False] * (len(run.bank) - 1))]
    assert run.order[-1] == 0
    np.testing.assert_array_equal(run.scores["effect"].value, whole.scores["effect"].value)
    (said,) = [w.message for w in run.warnings if w.code == "no_direction"]
    assert "no TCAV score, of concept 0:" in said
    assert not [w for w in whole.warnings if w.code == "no_direction"]
    assert "nan" in run.table()
    vx.write_report(run, tmp_path / "report.html")
    assert "no TCAV score, of concept 0" in (tmp_path / "report.html").read_text()
    vx.save_run(tmp_path / "saved", run)
    np.testing.assert_array_equal(vx.load_run(tmp_path / "saved").cavs.vectors, run.cavs.vectors)


def test_without_null_concepts_tcav_is_not_tested(model: vx.VideoModel, videos: Videos) -> None:
    few = replace(TINY, segmenter=SLIC(segments=(4,)), clusterer=KMeans(clusters=9), keep=2)
    clips = [changed(videos.train["cross"][0], i) for i in range(1, 9)]
    run = vx.explain_concepts(model, clips, random=videos.unrelated[:6], target="cross", settings=few)
    assert len(run.scores["tcav"].null) < 2
    assert np.isnan(run.scores["tcav"].p_value).all()
    assert np.isfinite(run.scores["effect"].value).any()
    assert any(w.code == "no_direction" and "not tested" in w.message for w in run.warnings)
    with pytest.raises(vx.DataError, match="or rank by effect"):
        vx.explain_concepts(
            model, clips, random=videos.unrelated[:6], target="cross", settings=replace(few, ranking="tcav")
        )
