"""The commands by name."""

from cyclopts import App

from voxplain.cli.attribute import attribute_command
from voxplain.cli.audit import audit_command
from voxplain.cli.benchmark import benchmark_command
from voxplain.cli.card import card_command
from voxplain.cli.completion import completion_command
from voxplain.cli.concepts import concepts_command, evaluate_command
from voxplain.cli.data import data_command
from voxplain.cli.data_scuba import scuba_command
from voxplain.cli.data_tied import tied_command
from voxplain.cli.demo import demo_command
from voxplain.cli.demo_improve import demo_improve_command
from voxplain.cli.doctor import doctor_command
from voxplain.cli.export import export_command
from voxplain.cli.figure import figure_command
from voxplain.cli.improve import improve_command
from voxplain.cli.merge import merge_command
from voxplain.cli.methods import methods_command
from voxplain.cli.open import open_command
from voxplain.cli.own_concepts import own_concepts_command
from voxplain.cli.planted import planted_command
from voxplain.cli.report import report_command
from voxplain.cli.reproduce import reproduce_command
from voxplain.cli.roar import roar_command
from voxplain.cli.study import study_command
from voxplain.cli.train import train_command
from voxplain.version import __version__

__all__ = ["app"]

app = App(
    name="voxplain",
    version=__version__,
    help_format="markdown",
    suppress_keyboard_interrupt=False,  # main prints how to continue
    help="Explains video classifiers: which objects and motions a network relies on for a class, with tests.",
)
# The functions, not import paths: their modules are light, and the help of a command loaded by path would be replaced
# by the line that the list of commands shows for it.
for command in (
    attribute_command,
    audit_command,
    benchmark_command,
    card_command,
    completion_command,
    concepts_command,
    evaluate_command,
    demo_command,
    demo_improve_command,
    doctor_command,
    export_command,
    figure_command,
    improve_command,
    merge_command,
    methods_command,
    open_command,
    own_concepts_command,
    planted_command,
    report_command,
    reproduce_command,
    roar_command,
    study_command,
    train_command,
):
    app.command(command, name=command.__name__.removesuffix("_command").replace("_", "-"))

data = App(name="data", help_format="markdown", help=data_command.__doc__)
data.default(data_command)
data.command(scuba_command, name="scuba")
data.command(tied_command, name="tied")
app.command(data)
