"""Metrics of maps and of methods: faithfulness, localisation, sanity; all are listed in `METRICS`.

The examples of the classes use ``model``, a `VideoModel`, ``clip``, a `Clip` of its grid, ``heat``, an `Attribution` of
it, and ``mask``, bool [T,H,W].
"""

from collections.abc import Callable
from functools import partial

from voxplain.metrics.area_between import AreaBetween
from voxplain.metrics.complexity import Complexity, Sparseness
from voxplain.metrics.efficient_randomisation import EfficientRandomisation
from voxplain.metrics.f_fidelity import FFidelity
from voxplain.metrics.faithfulness import (
    AverageDrop,
    Comprehensiveness,
    FaithfulnessCorrelation,
    IncreaseInConfidence,
    Sufficiency,
)
from voxplain.metrics.infilled import InfilledInsertion
from voxplain.metrics.insertion_deletion import Deletion, Insertion
from voxplain.metrics.localisation import EnergyInside, Overlap, PointingGame, RankAccuracy
from voxplain.metrics.record import (
    MapMetric,
    MaskMetric,
    MethodMetric,
    MetricValue,
    NetworksMetric,
    TimeMetric,
    mean_of,
)
from voxplain.metrics.retrain import Retrain, Retrained
from voxplain.metrics.sanity import ControlAgreement, FrameChange, LabelRandomisation, ParameterRandomisation
from voxplain.metrics.sensitivity import Infidelity, Sensitivity
from voxplain.metrics.similarity import SIMILARITIES, similarity
from voxplain.metrics.temporal import TemporalEnergy, TemporalPointing, join_in_time

Metric = MapMetric | MaskMetric | TimeMetric | MethodMetric | NetworksMetric | Retrain

# Name → a function without arguments that builds the metric with its defaults. Its class variable ``needs`` gives the
# arguments of its call (see `record`), ``higher_is_better`` the better direction.
METRICS: dict[str, Callable[[], Metric]] = {
    "insertion": Insertion,
    "deletion": Deletion,
    "infilled_insertion": InfilledInsertion,
    "f_fidelity": FFidelity,
    "area_between": AreaBetween,
    "sufficiency": Sufficiency,
    "comprehensiveness": Comprehensiveness,
    "average_drop": AverageDrop,
    "increase_in_confidence": IncreaseInConfidence,
    "faithfulness_correlation": FaithfulnessCorrelation,
    "infidelity": Infidelity,
    "complexity": Complexity,
    "sparseness": Sparseness,
    "pointing_game": PointingGame,
    "pointing_game_volume": partial(PointingGame, over="volume"),
    "energy_inside": EnergyInside,
    "rank_accuracy": RankAccuracy,
    "iou": partial(Overlap, over="frames"),
    "tube_iou": Overlap,
    "temporal_pointing": TemporalPointing,
    "temporal_energy": TemporalEnergy,
    "sensitivity": Sensitivity,
    "parameter_randomisation": ParameterRandomisation,
    "smooth_randomisation": partial(ParameterRandomisation, draws=8),
    "efficient_randomisation": EfficientRandomisation,
    "label_randomisation": LabelRandomisation,
    "frame_shuffle": FrameChange,
    "frame_reverse": partial(FrameChange, change="reverse"),
    "frame_freeze": partial(FrameChange, change="freeze"),
    "control_agreement": ControlAgreement,
    "roar": Retrain,
    "kar": partial(Retrain, keep=True, ratios=(0.05, 0.1, 0.3, 0.5, 0.7, 0.9)),
}

__all__ = [
    "METRICS",
    "SIMILARITIES",
    "AreaBetween",
    "AverageDrop",
    "Complexity",
    "Comprehensiveness",
    "ControlAgreement",
    "Deletion",
    "EfficientRandomisation",
    "EnergyInside",
    "FFidelity",
    "FaithfulnessCorrelation",
    "FrameChange",
    "IncreaseInConfidence",
    "Infidelity",
    "InfilledInsertion",
    "Insertion",
    "LabelRandomisation",
    "MapMetric",
    "MaskMetric",
    "MethodMetric",
    "Metric",
    "MetricValue",
    "NetworksMetric",
    "Overlap",
    "ParameterRandomisation",
    "PointingGame",
    "RankAccuracy",
    "Retrain",
    "Retrained",
    "Sensitivity",
    "Sparseness",
    "Sufficiency",
    "TemporalEnergy",
    "TemporalPointing",
    "TimeMetric",
    "join_in_time",
    "mean_of",
    "similarity",
]
