import pytest
import yaml

from voxplain.concepts.settings import PRESETS
from voxplain.errors import DataError
from voxplain.experiments import EXPERIMENTS, read_experiment
from voxplain.nets import NETS
from voxplain.train import Recipe

PLAN = {"planted": {"train": 2, "test": 1, "unrelated": 2}, "nets": [{"net": "planted"}], "settings": [{"name": "a"}]}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_is_whole(name):
    for plan in (read_experiment(name), read_experiment(name).shortened()):
        assert plan.title
        assert plan.settings
        for setting in plan.settings:
            assert setting.preset in PRESETS
            setting.resolved(0)
        for net in plan.nets:
            assert net.net in {*NETS, "planted"}
            Recipe(**{k: v for k, v in net.train.items() if k != "resize"})


def test_the_papers_settings_are_theirs():
    kth = {s.published: s.resolved(0) for s in read_experiment("kth").settings}
    assert kth["kth-standard"].segmenter.segments == (15, 50, 80)
    assert kth["kth-standard"].clusterer.clusters == 25
    assert kth["kth-small"].segmenter.segments == (15, 30, 60)
    assert kth["kth-small"].clusterer.clusters == 15
    recipe = Recipe(**read_experiment("kinetics").nets[0].train)
    assert (recipe.epochs, recipe.batch, recipe.lr, recipe.lr_step, recipe.momentum) == (150, 64, 0.01, 50, 0.9)


def test_quick_shows_no_published_numbers_beside_other_settings():
    assert all(s.published is None for s in read_experiment("kth").shortened().settings)


def test_own_experiment(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({**PLAN, "quick": {"classes": ["cross"], "planted": {"train": 1}}}))
    plan = read_experiment(path)
    assert (plan.name, plan.title, plan.nets[0].title) == ("mine", "mine", "planted")
    short = plan.shortened()
    assert (short.classes, short.planted) == (("cross",), {"train": 1, "test": 1, "unrelated": 2})


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"clases": []}, "'clases'"),
        ({"nets": []}, "none"),
        ({"nets": [{"network": "c3d"}]}, "'network'"),
        ({"nets": "c3d"}, "a list of nets"),
        ({"settings": [{"preset": "paper"}]}, "name"),
        ({"data": "videos"}, "both or none"),
        ({"planted": None}, "both or none"),
    ],
)
def test_a_wrong_plan_is_one_sentence(tmp_path, changed, named):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({**PLAN, **changed}))
    with pytest.raises(DataError, match=f"expected .*{named}"):
        read_experiment(path)


def test_quick_keeps_the_networks_it_names():
    assert [n.net for n in read_experiment("weizmann").nets] == ["tiny", "compact"]
    assert [n.net for n in read_experiment("weizmann").shortened().nets] == ["tiny"]


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", None])
def test_no_plan_is_one_sentence(tmp_path, text):
    path = tmp_path / "mine.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match="expected"):
        read_experiment(path)
    with pytest.raises(DataError, match="weizmann"):
        read_experiment("weizman")
