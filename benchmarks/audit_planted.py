"""Planted slices for `audit.py`: networks that were trained on clips in which a defect goes with another class.

Each network is trained as in `improve_planted.Case`, from the weights that come with voxplain on clips of four classes,
but with the defect in all clips of the trapped class and in none of the others', and with smaller shapes, so that the
network rests on the defect enough to take clips of other classes that have it for the trapped class.

The audited set: of the two other classes that a shape decides 24 clips each, ten of which have the defect; of the
trapped class and of the class without a shape as many as in training. Scenes have seeds of their own.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

import voxplain as vx
from improve_planted import Case, Seed
from voxplain.audits import ClassAudit, Slice, find_slices, joined_slices
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.effect import concept_mask
from voxplain.concepts.sequential_effects import SequentialEffects
from voxplain.corrections.improve import suspected
from voxplain.datasets import VideoSet
from voxplain.datasets.planted import PlantedDesign, Scene, draw_scene, has_defect, render, with_defect, without_defect
from voxplain.errors import DataError
from voxplain.explain import audit_steps as steps
from voxplain.explain.session import open_session
from voxplain.explain.slice_steps import effect_slices
from voxplain.progress import progress_bar
from voxplain.runtime import ThreadExecutor
from voxplain.video.encode import write_video

__all__ = [
    "MEASURES",
    "SETTINGS",
    "SLICE",
    "AuditedCase",
    "AuditedSeed",
    "chance_figures",
    "null_figures",
    "planted_figures",
]

CLIPS, PLANTED = 24, 10
RADIUS = (0.15, 0.18)  # of the shapes; with 0.21 to 0.25 the networks need the defect too little
SLICE = 0.3  # accuracy without the defect less that with it, from which on a slice counts as planted
SETTINGS = vx.ConceptSettings(
    unrelated_videos=12,
    unrelated_crops=12,
    random_sets=4,
    effect=SequentialEffects(fills=("median",), fill_clips=8, clips=8, passes=150, top=2, detail_clips=4),
)
MEASURES = vx.AuditSettings(kind_clips=6, relation_clips=8)
COVERS = 0.1  # share of the defect's voxels that a concept covers, from which on it counts as the defect's
OFFSET = 800_000  # of the scenes of the audited set within the scenes of a seed


@dataclass(frozen=True)
class AuditedSeed(Seed):
    """Scenes of one seed, with smaller shapes than in `Seed`."""

    @cached_property
    def design(self) -> PlantedDesign:
        return replace(super().design, radius=RADIUS)


@dataclass(frozen=True)
class AuditedCase(Case):
    """A network that relies on a defect, and the clips on which it is audited; ``null``: none of them has it."""

    null: bool = False

    @property
    def name(self) -> str:
        return f"slice-{super().name}"

    @cached_property
    def design(self) -> PlantedDesign:
        return replace(super().design, shortcut_rate=1.0)

    @property
    def audited(self) -> tuple[str, ...]:
        """The classes in which a slice is planted: those of a shape, without the trapped one."""
        return tuple(label for label in self.design.appearance if label != self.design.shortcut)

    def defective(self, label: str) -> int:
        """How many of the class's clips have the defect; they are the first."""
        if self.null:
            return 0
        return {self.design.shortcut: CLIPS, self.design.empty: 0}.get(label, PLANTED)

    def videos(self) -> tuple[VideoSet, dict[str, Scene]]:
        """The audited videos, written to files, and the scene of each by path."""
        design, home = self.design, self.home / ("null" if self.null else "videos")
        scenes: dict[Path, Scene] = {}
        for k, label in enumerate(design.classes):
            first = self.seed.number * 1_000_000 + OFFSET + 1000 * k + 500 * self.null
            for i in range(CLIPS):
                scene = without_defect(design, draw_scene(design, label, first + i))
                scenes[home / label / f"{i:02d}.mp4"] = (
                    with_defect(design, scene) if i < self.defective(label) else scene
                )
        for path, scene in scenes.items():
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                write_video(path, render(scene))
        paths = tuple(scenes)
        labels = np.array([design.classes.index(path.parent.name) for path in paths], np.int64)
        return VideoSet(design.classes, paths, labels), {str(path): scene for path, scene in scenes.items()}

    def audited_network(self) -> tuple[vx.AuditRun, dict[str, Scene]]:
        """The audit of the network on these clips, and the scene of each."""
        videos, scenes = self.videos()
        store = self.home / ("store-null" if self.null else "store")
        found = vx.audit(
            self.network(), videos, settings=SETTINGS, measures=MEASURES, store=store, progress=progress_bar
        )
        return found, scenes

    def covered(self, run: ConceptRun, scenes: dict[str, Scene]) -> np.ndarray:
        """Share of the defect's voxels that each concept of a run covers in its clips, float64 [K]."""
        inside, whole = np.zeros(len(run.bank)), 0
        for clip, regions, assigned in zip(run.clips, run.supervoxels, run.assigned, strict=True):
            truth = self.defect_mask(scenes[str(clip.source)])
            whole += int(truth.sum())
            if truth.any():
                inside += [(concept_mask(regions, assigned, k) & truth).sum() for k in range(len(run.bank))]
        return inside / max(whole, 1)


def planted_figures(case: AuditedCase) -> tuple[list[dict], dict]:
    """Figures of the slice of each audited class, and of the concepts that are suspected in the trapped class."""
    audit, scenes = case.audited_network()
    runs = {run.target: run for run in audit.runs}
    slices = [_slice_figures(case, audit, audit.of_class(label), runs, scenes) for label in case.audited]
    trapped = str(case.design.shortcut)
    covers = case.covered(runs[trapped], scenes)
    strong = any(own["slice"] for own in slices)
    picks = {"audit": audit.suspects(trapped), "run": _suspected(runs[trapped])}
    figures = {
        name: {"picked": len(own), "right": int((covers[list(own)] >= COVERS).sum())} for name, own in picks.items()
    }
    others = _picked({name: run for name, run in runs.items() if name != trapped}, audit)
    return slices, {"case": case.name, "kind": case.kind, "relied_on": strong, **figures, "other_classes": others}


def chance_figures(case: AuditedCase) -> list[dict]:
    """Slices that are found by concepts of random supervoxels, in the wrong and right clips of each audited class."""
    audit, _ = case.audited_network()
    options = {"executor": ThreadExecutor, "shard": None, "progress": progress_bar}
    session = open_session(case.network(), SETTINGS, vx.Store(case.home / "store"), audit.runs[0].clips, **options)
    rng = np.random.default_rng(case.seed.number)
    figures = []
    for run in audit.runs:
        if run.target not in case.audited:
            continue
        counts = np.cumsum([len(assigned) for assigned in run.assigned])[:-1]
        shuffled = np.split(rng.permutation(np.concatenate(run.assigned)), counts)
        found = steps.explained(session, replace(run, assigned=tuple(shuffled)))
        own = steps.hidden_in_wrong(session, found, MEASURES.wrong_clips, seed=0)
        by_effect = effect_slices(session, found, {run.target: found}, own, [], seed=0)
        by_presence = find_slices(found.volumes, found.wrong, permutations=MEASURES.permutations)
        slices = joined_slices(by_effect, by_presence)
        figures.append({"wrong": int(found.wrong.sum()), "q_value": min((s.q_value for s in slices), default=None)})
    return figures


def null_figures(case: AuditedCase) -> dict:
    """Slices that are found and concepts that are suspected in clips without the defect."""
    audit, _ = replace(case, null=True).audited_network()
    slices = [
        {
            "wrong": sum(found.wrong),
            "q_value": found.slices[0].q_value if found.slices else None,
            "by_effect": bool(found.slices and found.slices[0].taken_for),
        }
        for found in (audit.of_class(label) for label in case.audited)
    ]
    return {"slices": slices, "suspected": _picked({run.target: run for run in audit.runs}, audit)}


def _picked(runs: dict[str, ConceptRun], audit: vx.AuditRun) -> dict[str, int]:
    """Number of suspected concepts of some classes, all of them wrong ones."""
    return {
        "classes": len(runs),
        "audit": sum(len(audit.suspects(name)) for name in runs),
        "run": sum(len(_suspected(run)) for run in runs.values()),
    }


def _suspected(run: ConceptRun) -> tuple[int, ...]:
    try:
        return suspected(run)
    except DataError:  # none
        return ()


def _slice_figures(
    case: AuditedCase, audit: vx.AuditRun, found: ClassAudit, runs: dict[str, ConceptRun], scenes: dict[str, Scene]
) -> dict:
    planted = np.array([has_defect(case.design, scenes[source]) for source in found.sources])
    wrong = np.array(found.wrong)
    with_defect, without = float((~wrong[planted]).mean()), float((~wrong[~planted]).mean())
    first = found.slices[0] if found.slices else None
    z = _logits(case, runs[found.label])
    y, others = found.index, np.delete(np.arange(z.shape[1]), found.index)
    taken = case.design.classes.index(found.predicted_as[0][0]) if found.predicted_as else others[0]
    orders = {"by_log_odds": z[:, y] - np.logaddexp.reduce(z[:, others], axis=1), "by_margin": z[:, y] - z[:, taken]}
    return {
        "case": case.name,
        "kind": case.kind,
        "label": found.label,
        "accuracy_with_defect": round(with_defect, 3),
        "accuracy_without": round(without, 3),
        "slice": without - with_defect >= SLICE,
        "precision_at_10": float(planted[list(first.clips[:10])].sum()) / 10 if first else 0.0,
        **{name: float(planted[np.argsort(by, kind="stable")[:10]].mean()) for name, by in orders.items()},
        "share": float(planted.mean()),
        "q_value": first.q_value if first else None,
        "by_effect": bool(first and first.taken_for),
        **(_concept_figures(case, audit, first, found, runs, scenes) if first else {}),
    }


def _logits(case: AuditedCase, run: ConceptRun) -> np.ndarray:
    return np.asarray(case.network().logits(np.stack([clip.frames for clip in run.clips])))


def _concept_figures(
    case: AuditedCase,
    audit: vx.AuditRun,
    first: Slice,
    found: ClassAudit,
    runs: dict[str, ConceptRun],
    scenes: dict[str, Scene],
) -> dict:
    """Whether a concept of the slice covers the defect, and the share of wrong clips that hiding it corrects."""
    covers = case.covered(runs[first.concepts_of or found.label], scenes)
    measured = audit.of_class(first.concepts_of).attractions if first.concepts_of else found.causes
    corrected = [cause.corrected for cause in measured if cause.concept in first.present]
    return {
        "described_by": [first.concepts_of, list(first.present), list(first.absent), len(first.clips)],
        "named": max((float(covers[k]) for k in first.present), default=0.0) >= COVERS,
        "corrected": max(corrected, default=None),
    }
