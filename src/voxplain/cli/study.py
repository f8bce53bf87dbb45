"""`voxplain study`."""

from pathlib import Path

from voxplain.cli.options import Words

__all__ = ["study_command"]


def study_command(
    work: Path,
    *,
    quick: bool = False,
    design: str = "standard",
    data: Path | None = None,
    nets: Words = (),
    methods: Words = (),
    method: Words = (),
    clips: int | None = None,
    jobs: int = 1,
    shard: str | None = None,
    threads: int = 1,
) -> None:
    """Compare attribution methods over structures of networks, on planted clips where the truth is known.

    Trains a small network of each structure, explains clips by every method, and writes tables: truth by structure,
    agreement of metrics with truth, metrics that prefer an attacked map to the truth (unsafe), stability of ranks. The
    same command continues an interrupted run; shards write into one folder, and the run without --shard writes tables.

    Examples:

        voxplain study runs/study --quick --jobs 2
        voxplain study runs/study --shard 2/8
        voxplain study runs/study --quick --method mypkg.methods:mine

    Parameters
    ----------
    work
        Folder for networks, results and tables.
    quick
        Smaller clips, fewer of them, fewer samples and steps.
    design
        The planted clips, standard or held-out, or utd_depth: depth videos of people, with the silhouette as truth.
    data
        Folder of UTD-MHAD as depth videos, for utd_depth.
    nets
        Only these: planted (shipped, not trained; in a quick study only where it is named), c3d, r3d, r2plus1d, i3d,
        cnn_lstm, tsm, convlstm, transformer.
    methods
        Only these attribution methods.
    method
        Methods of yours beside them, each as package.module:function, see docs/benchmark.md.
    clips
        Clips a class that are explained: 1 with --quick, else 8, unless given. What fewer gave is found again.
    jobs
        Processes of one thread, each with networks of its own.
    shard
        Compute one shard of the pairs of network and method, such as 2/8.
    threads
        Threads of one network.
    """
    import torch

    from voxplain.benchmark.study_run import run_study
    from voxplain.benchmark.third_party import third_party_methods
    from voxplain.cli.console import Console
    from voxplain.files import in_use
    from voxplain.runtime import read_shard

    torch.set_num_threads(threads)
    console = Console()
    with in_use(work, shared=shard is not None):
        figures = run_study(
            work,
            design=design,
            data=data,
            quick=quick,
            networks=nets,
            methods=methods,
            more=third_party_methods(method),
            clips=clips,
            jobs=jobs,
            shard=None if shard is None else read_shard(shard),
            tell=lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True),
        )
    folder = work / ("quick" if quick else "full") / design
    if figures:
        text = (folder / "study.md").read_text()
        console.print(text, markup=False, highlight=False, soft_wrap=True)
        console.print(f"tables: {folder}", markup=False, highlight=False, soft_wrap=True)
