"""`voxplain reproduce`."""

from dataclasses import replace
from pathlib import Path

from voxplain.cli.options import Classes, OutputFile

__all__ = ["reproduce_command"]


def reproduce_command(
    name: str | None = None,
    *,
    data: Path | None = None,
    output: OutputFile = None,
    class_: Classes = (),
    quick: bool = False,
    device: str | None = None,
) -> None:
    """Run a whole experiment: train, explain every class, add and remove concepts, print tables and verdicts.

    Without a name it lists the experiments. Writes the tables as in the papers (Markdown, LaTeX, CSV), curves with
    95 % bands, a comparison of settings, a verdict for each claim, and a report for every network and setting. The
    same command continues an interrupted run.

    Examples:

        voxplain reproduce planted --quick
        voxplain reproduce weizmann --data videos -o runs/weizmann
        voxplain reproduce my_experiment.yaml --data videos

    Parameters
    ----------
    name
        An experiment by name, or the path of a YAML file like those of voxplain.
    data
        Folder that holds the data sets; default: the environment variable VOXPLAIN_DATA.
    output
        Folder for the results; default: runs/reproduce/NAME.
    class_
        Only these classes are explained; the networks are trained on all.
    quick
        Fewer classes, settings and videos, to see that it runs and what it writes.
    device
        cpu, cuda …; default: cuda where there is a GPU.
    """
    from voxplain.cli.console import Console
    from voxplain.cli.reproduce_steps import experiment_videos, run_setting, write_experiment
    from voxplain.experiments import EXPERIMENTS, read_experiment, settings_table, table_markdown, verdicts
    from voxplain.files import in_use

    console = Console()
    if name is None:
        for known in EXPERIMENTS:
            console.print(f"{known:12s} {read_experiment(known).title}", markup=False, highlight=False)
        return
    plan = read_experiment(name)
    plan = plan.shortened() if quick else plan
    plan = replace(plan, classes=class_) if class_ else plan
    output = output or Path("runs/reproduce") / f"{plan.name}{'-quick' * quick}"
    with in_use(output):
        folder, unrelated = experiment_videos(plan, data, output)
        outcomes = [
            run_setting(plan, net, setting, folder, unrelated, output, device)
            for net in plan.nets
            for setting in plan.settings
        ]
        write_experiment(plan, outcomes, output)
        console.print(f"\n{plan.title}, seed {plan.seed}", highlight=False)
        for kind in ("adding", "removing"):
            console.print(f"\naccuracy while {kind} concepts, % [95 % over videos]\n", highlight=False)
            console.print(table_markdown(outcomes, kind), markup=False, highlight=False, soft_wrap=True)
        console.print("area in points of accuracy, positive as claimed, bold where p < 0.05\n", highlight=False)
        console.print(settings_table(outcomes), markup=False, highlight=False, soft_wrap=True)
        for line in verdicts(outcomes):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        if plan.note:
            console.print(f"\nnote: {plan.note}", markup=False, highlight=False, soft_wrap=True)
        console.print(f"tables and curves: {output}", markup=False, highlight=False, soft_wrap=True)
