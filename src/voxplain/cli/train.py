"""`voxplain train`."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from voxplain.cli.held_out import HeldOut
from voxplain.cli.losses import Losses, printed_losses, write_lost_videos
from voxplain.cli.options import Output
from voxplain.cli.printed import Printed
from voxplain.train.recipe import Recipe

__all__ = ["train_command"]


def train_command(
    data: Path | None = None,
    *,
    net: str = "tiny",
    output: Output,
    resize: tuple[int, int] | None = None,
    cache: Path | None = None,
    held: HeldOut = HeldOut(),  # noqa: B008 - frozen
    recipe: Annotated[Recipe, Parameter(name="*")] = Recipe(),  # noqa: B008 - frozen
    device: str | None = None,
    losses: Losses = Losses(),  # noqa: B008 - frozen
    printed: Printed = Printed(),  # noqa: B008 - frozen
) -> int:
    """Train a network from scratch on a folder with one sub-folder of videos per class.

    The same command continues an interrupted training from its last finished epoch. Writes
    weights.safetensors (with the class names), log.csv, curves.png, with test videos confusion.csv and per_class.csv,
    and lost_videos.csv where videos were skipped or are damaged, into the output folder.

    On several GPUs, or CPU processes with --device cpu, with the extra `train`:

        torchrun --nproc_per_node 2 -m voxplain train data --net r3d -o runs/r3d

    Examples:

        voxplain train data --net r3d -o runs/r3d
        voxplain train weizmann --net tiny --hold-out ido lena moshe --epochs 60 --lr 0.05 --lr-step 45 -o runs/w

    Parameters
    ----------
    data
        Folder of class folders, or one with train/ and test/; with --list the folder of its paths.
    net
        tiny, compact, c3d, r3d, i3d, r2plus1d, resnet_lstm, tsm, r2plus1d_compact, resnet_lstm_compact, tsm_compact,
        convlstm, vit or vit_divided.
    output
        Folder for the weights and the log.
    resize
        Height and width of the videos before the crop; where they are larger than the crop, training clips are
        cut at random places.
        Default: the network's own. Kept in the weights file, so that explanations read
        videos the same way.
    cache
        Folder where decoded and resized videos are kept, as large as their pixels, for this and later runs; it may be
        removed at any time between runs. Default: clips in the output folder.
    device
        cpu, cuda …; default: cuda where there is a GPU.
    """
    from dataclasses import asdict

    import torch

    from voxplain.cli.estimate_training import training_estimate
    from voxplain.cli.file_list import print_list
    from voxplain.cli.held_out import split_videos
    from voxplain.cli.train_steps import (
        accuracy_sentence,
        accuracy_table,
        net_spec,
        read_training_videos,
        train_network,
        write_training,
    )
    from voxplain.cli.work_estimate import begun
    from voxplain.files import in_use
    from voxplain.model import VideoModel
    from voxplain.nets import build_net
    from voxplain.train import accuracy, launched, per_class
    from voxplain.video import Geometry

    spec = net_spec(net)
    geometry = Geometry(resize or spec.resize, spec.crop)
    sets = split_videos(data, held)
    processes = launched(device)
    printed = printed if processes.first else Printed(quiet=True)
    console = printed.console()
    if processes.first:
        print_list(*sets)
    with in_use(output) if processes.first else nullcontext():
        output.mkdir(parents=True, exist_ok=True)
        with printed_losses(console) as lost:
            loaded = [
                read_training_videos(
                    v, geometry, cache or output / "clips", processes, console, printed.progress(), losses.damaged
                )
                for v in sets
                if v is not None
            ]
        if processes.first:
            write_lost_videos(output, lost)
        torch.manual_seed(recipe.seed)
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        network = build_net(net, len(sets[0].classes)).to(processes.device or device)
        model = VideoModel(
            net=network,
            layer=spec.feature_layer,
            mean=spec.mean,
            std=spec.std,
            grid=(spec.frames, *spec.crop),
            classes=sets[0].classes,
            geometry=geometry,
            batch_size=recipe.micro_batch or recipe.batch,
            channels_last=True,
            name=net,
        )
        if processes.count > 1:
            console.print(f"{processes.count} processes share each batch of {recipe.batch}", highlight=False)
        test = loaded[1] if len(loaded) > 1 else None
        alone = processes.count == 1  # the speed of several is not that of one
        watch = begun(console, lambda: training_estimate(model, loaded[0], test, recipe, geometry) if alone else None)
        logs = train_network(
            model,
            loaded[0],
            test,
            recipe,
            output,
            processes,
            console=console,
            progress=printed.progress(),
            every=printed.verbose,
        )
        # Every process takes part in measuring; only the first writes and prints.
        matrix = None if test is None else accuracy(model, test, geometry, stride=recipe.stride, processes=processes)
        if processes.first:
            write_training(model, logs, matrix, recipe, output)
            watch.write(output)
            if matrix is not None:
                shown = accuracy_table if printed.verbose else accuracy_sentence
                console.print(shown(matrix, model.classes), soft_wrap=True)
            text = f"weights: {output / 'weights.safetensors'} ({watch.sentence()})"
            console.print(text, markup=False, highlight=False, soft_wrap=True)
            rows = [] if matrix is None else per_class(matrix, model.classes)
            weights = str(output / "weights.safetensors")
            printed.answers({"last_epoch": asdict(logs[-1]), "classes": rows, "weights": weights})
        # torchrun takes every other code than 0 as a failure, and starts the training again.
        return losses.exit_code(bool(lost) and processes.count == 1)
