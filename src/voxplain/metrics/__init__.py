"""Metrics that tell whether a map is faithful, well placed, and sane; all listed in `METRICS`."""

from collections.abc import Callable
from functools import partial
from typing import Any

from voxplain.metrics.faithfulness import (
    AverageDrop,
    Comprehensiveness,
    FaithfulnessCorrelation,
    IncreaseInConfidence,
    Sufficiency,
)
from voxplain.metrics.insertion_deletion import Deletion, Insertion
from voxplain.metrics.localisation import EnergyInside, Overlap, PointingGame, RankAccuracy
from voxplain.metrics.record import MapMetric, MaskMetric, MethodMetric, MetricValue, TimeMetric, mean_of
from voxplain.metrics.retrain import Retrain, Retrained
from voxplain.metrics.sanity import ControlAgreement, FrameChange, LabelRandomisation, ParameterRandomisation
from voxplain.metrics.sensitivity import Infidelity, Sensitivity
from voxplain.metrics.similarity import SIMILARITIES, similarity
from voxplain.metrics.temporal import TemporalEnergy, TemporalPointing, join_in_time

# Name → a call without arguments that builds the metric with its defaults. What it is called with, its class variable
# ``needs`` says (see `record`); whether more is better, its ``higher_is_better``.
METRICS: dict[str, Callable[[], Any]] = {
    "insertion": Insertion,
    "deletion": Deletion,
    "sufficiency": Sufficiency,
    "comprehensiveness": Comprehensiveness,
    "average_drop": AverageDrop,
    "increase_in_confidence": IncreaseInConfidence,
    "faithfulness_correlation": FaithfulnessCorrelation,
    "infidelity": Infidelity,
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
    "AverageDrop",
    "Comprehensiveness",
    "ControlAgreement",
    "Deletion",
    "EnergyInside",
    "FaithfulnessCorrelation",
    "FrameChange",
    "IncreaseInConfidence",
    "Infidelity",
    "Insertion",
    "LabelRandomisation",
    "MapMetric",
    "MaskMetric",
    "MethodMetric",
    "MetricValue",
    "Overlap",
    "ParameterRandomisation",
    "PointingGame",
    "RankAccuracy",
    "Retrain",
    "Retrained",
    "Sensitivity",
    "Sufficiency",
    "TemporalEnergy",
    "TemporalPointing",
    "TimeMetric",
    "join_in_time",
    "mean_of",
    "similarity",
]
