"""`voxplain roar`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from voxplain.cli.held_out import HeldOut
from voxplain.cli.losses import Losses, write_lost_videos
from voxplain.cli.network import Network
from voxplain.cli.options import Assignments, Classes, Output
from voxplain.cli.printed import Printed
from voxplain.errors import DataError
from voxplain.train.recipe import Recipe

__all__ = ["roar_command"]


def roar_command(
    data: Path | None = None,
    *,
    methods: str,
    metrics: str = "all",
    network: Network = Network(),  # noqa: B008 - frozen
    held: HeldOut = HeldOut(),  # noqa: B008 - frozen
    class_: Classes = (),
    limit: int | None = None,
    seeds: int = 1,
    maps: int = 60,
    target: str = "own",
    recipe: Annotated[Recipe, Parameter(name="*")] = Recipe(),  # noqa: B008 - frozen
    set_: Assignments = (),
    losses: Losses = Losses(),  # noqa: B008 - frozen
    output: Output,
    printed: Printed = Printed(),  # noqa: B008 - frozen
) -> int:
    """Evaluate attribution methods by retraining: remove or keep the voxels with the highest attribution, and train.

    roar (remove and retrain) hides the highest values of each map in every clip and trains a network on the rest: the
    lower its accuracy, the better the map. kar (keep and retrain) hides all but the highest: the higher the better.
    label_randomisation compares the maps with those of a network trained on shuffled labels, and with those of a second
    network trained on the true labels.

    Networks start from fresh weights (for --model from those that the function gives), get one clip a video, the one
    that is explained, and train as `voxplain train` does. Finished trainings are stored: the same command continues,
    and runs with other methods may write into one output folder at once; the last with all methods writes the tables.

    Examples:

        voxplain roar data --net tiny --weights w.safetensors --methods gradient,grad_cam,random --seeds 2 -o runs/r
        voxplain roar data --net tiny --weights w.safetensors --methods step,random --metrics kar -o runs/r

    Parameters
    ----------
    data
        Folder of class folders with train/ and test/, or divided by one of the options below; with --list the folder of
        its paths.
    methods
        Attribution methods joined by commas, or all. With random among them the others are tested against it.
    metrics
        roar, kar, label_randomisation joined by commas, or all.
    class_
        Only videos of these classes.
    limit
        Training videos, and test videos, spread evenly over the classes; default: all.
    seeds
        Trainings of each kind, from other weights and in another order.
    maps
        Test videos whose maps are compared in label_randomisation, spread evenly over the classes.
    target
        The class whose maps roar and kar hide or keep: own (the clip's label, as in the study), predicted, or one class
        for all clips. The shape of the hidden region can reveal the class that the map is of.
    set_
        Parameters of methods or metrics, as name.field=value.
    output
        Folder for results, the weights of label_randomisation, and what has been computed.
    """
    from voxplain.benchmark.label_randomisation import compare_label_pair, train_label_pair
    from voxplain.benchmark.retraining import retrain_all
    from voxplain.cli.benchmark_options import choose_metrics, configured, spread_clips
    from voxplain.cli.estimate_training import retraining_estimate
    from voxplain.cli.file_list import print_list
    from voxplain.cli.held_out import named_videos, split_videos
    from voxplain.cli.network import open_model
    from voxplain.cli.roar_output import RetrainingResults, evenly, fixed_targets, new_networks
    from voxplain.cli.work_estimate import begun
    from voxplain.explain import methods_by_name
    from voxplain.files import in_use
    from voxplain.metrics import LabelRandomisation, Retrain
    from voxplain.store import Store
    from voxplain.video.lost_videos import joined

    console, progress = printed.console(), printed.progress()
    training_metrics = choose_metrics(
        metrics,
        ("training", "networks"),
        "expected roar, kar or label_randomisation, which train networks, got {}; see `voxplain benchmark`",
    )
    chosen, training_metrics = configured(methods_by_name(methods), training_metrics, set_)
    videos = split_videos(data, held)
    if videos[1] is None:
        raise DataError("expected training and test videos, got no test videos; give --hold-out, --split or --dataset")
    print_list(*videos)
    model = replace(open_model(network, videos[0].classes), channels_last=network.model is None)
    named = [named_videos(model, v, held) for v in videos if v is not None]
    read = [spread_clips(model, v, class_, limit, console, losses.damaged) for v in named]
    train, test = ([clip for _, clip in own] for own, _ in read)
    lost = joined(noted for _, noted in read)
    with in_use(output, shared=True):  # by runs with other methods
        results = RetrainingResults(model, chosen, training_metrics, recipe, target)
        store, networks = Store(output / "store"), new_networks(network, model)
        retrained = {n: replace(m, recipe=recipe) for n, m in training_metrics.items() if isinstance(m, Retrain)}
        every = retrained | {n: m for n, m in training_metrics.items() if isinstance(m, LabelRandomisation)}
        watch = begun(
            console,
            lambda: retraining_estimate(
                model,
                networks,
                train,
                test,
                fixed_targets(model, chosen, target),
                every,
                recipe,
                seeds=seeds,
                maps=maps,
            ),
        )
        if retrained:
            targeted = fixed_targets(model, chosen, target)
            trainings, results.without_maps = retrain_all(
                model, networks, train, test, targeted, retrained, seeds=seeds, store=store, progress=progress
            )
            results.add_accuracies(trainings, retrained, 1 / len({c.label for c in train}), output)
        for metric in (m for m in training_metrics.values() if isinstance(m, LabelRandomisation)):
            pair = train_label_pair(model, networks, train, recipe, folder=output / "label_pair", progress=progress)
            compared = evenly(test, maps)
            similarity, without = compare_label_pair(
                model, pair, compared, chosen, metric, store=store, progress=progress
            )
            results.without_maps |= without
            results.add_label_pair(similarity, (pair.shuffled_accuracy, pair.true_accuracy))
        results.write(output)
        write_lost_videos(output, lost)
        shown = results.tables() if printed.verbose else results.answer()
        console.print(shown, markup=False, highlight=False, soft_wrap=True)
        console.print(f"tables: {output}", markup=False, highlight=False, soft_wrap=True)
        watch.write(output)
        console.print(f"time: {watch.sentence()}", markup=False, highlight=False)
        printed.answers(results.values() | {"tables": str(output)})
        return losses.exit_code(bool(lost))
