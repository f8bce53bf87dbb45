"""Does an explanation show what the network truly relies on, whole, pure and stable? Known truth, several networks.

    python benchmarks/truth.py [--work DIR] [--jobs 2] [--cases report|tuning|real] [--presets default paper] [--quick]

Truth: each clip is rendered again without one object, and the mean drop of the class's log-odds (and, beside it, of its
logit) is the network's reliance on it. The networks of the report differ in design, number of classes and architecture,
and one generator (`other_scenes.py`) shares no code with the planted sets; no default was chosen on them. The figures
of a class are those of `truth_figures.strict_figures`; further

seed_iou         IoU of the concepts on top under three seeds, same clips (with the next: first class of a network)
bootstrap_iou    IoU of the concepts on top of two runs on halves of the clips, in all clips
power            share of classes whose relied-on object has a significant concept, by number of classes and clips
shortcut_found   share of shortcut networks whose trapped class has a concept with the patch on top (IoU of 0.5 or
                 more), among those that rely most on the patch
shortcut_listed  share of shortcut networks in which a significant concept, on top or not, shows the patch
                 (`patch_listed` of `truth_figures.strict_figures`), among those that rely on it at least half as much
                 as on anything
false_discovery  share of concepts called significant in networks with random weights or shuffled labels

rank_first, spearman and spearman_log_odds are the figures published before; rank_first is lenient: it is 1 where every
concept is a small piece of the object.
"""

import argparse
import json
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from other_scenes import CLASSES, other_model
from truth_figures import interval, stability, strict_figures
from truth_nets import REPORT, TUNING, Case, make
from truth_real import REAL, missing, report_real, run_real
from truth_sets import Known, known_other, known_planted, unrelated_other, unrelated_planted
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.settings import PRESETS, ConceptSettings
from voxplain.explain import explain_concepts
from voxplain.model import VideoModel
from voxplain.store import Store
from voxplain.video import Clip

BLIND = ("random", "shuffled")  # networks that were trained on no class
OTHER = "other"  # the independent generator
CLIPS, FEW, UNRELATED = 20, 12, 60
MOST_CLASSES = 3  # of a network: evenly spaced in the order of its classes
FIGURES = ("top_recall", "top_precision", "top_iou", "strict_rank_first", "fragments", "seed_iou", "bootstrap_iou")
BESIDE = ("best_iou", "coherence", "top_coherence", "unexplained", "no_concept", "rank_first")
RANK = ("spearman", "spearman_log_odds", "spearman_logit_drop", "spearman_clear")


class Explainer:
    """Explains classes of one network by one preset, with a store of its own."""

    def __init__(self, model: VideoModel, unrelated: Sequence[Clip], preset: str, store: Path) -> None:
        self.model, self.unrelated, self.store = model, unrelated, Store(store)
        self.settings = replace(PRESETS[preset], videos=CLIPS, unrelated_videos=UNRELATED, unrelated_crops=15)

    def __call__(self, clips: Sequence[Clip], label: str, seed: int = 0) -> ConceptRun:
        settings: ConceptSettings = replace(self.settings, seed=seed)
        return explain_concepts(
            self.model, clips, random=self.unrelated, target=label, settings=settings, store=self.store
        )


def examine(explain: Explainer, known: Known, *, repeated: bool) -> dict:
    """The figures of one class, as plain numbers."""
    run = explain(known.clips, known.label)
    scores = run.scores[run.ranking]
    drops = dict(zip(known.names, known.mean_drop.tolist(), strict=True))
    found = {"label": known.label, "drop": drops, "q": scores.q_value.tolist(), "concepts": len(run.bank)}
    if not known.relied:
        return found
    few = explain(known.clips[:FEW], known.label)
    few_known = replace(known, clips=known.clips[:FEW], masks=known.masks[:FEW], drop=known.drop[:FEW])
    few_known = replace(few_known, drop_logit=known.drop_logit[:FEW])
    found |= {
        "relied": known.relied,
        "figures": strict_figures(run, known) | (stability(explain, known.clips, known.label, run) if repeated else {}),
        "few": strict_figures(few, few_known)["significant"] if few_known.relied else 0.0,
        "forwards": getattr(run.effects, "forwards", None),
    }
    return found


def run_case(case: Case | None, preset: str, work: Path, repeated: bool) -> dict:
    """All classes of one network, or of the independent generator (None); kept in WORK and found again."""
    torch.set_num_threads(1)
    name = OTHER if case is None else case.name
    kept = work / name / f"figures-{preset}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    start = time.monotonic()
    if case is None:
        model, accuracy = other_model(work)
        unrelated: Sequence[Clip] = unrelated_other(UNRELATED)
        labels: list[str] = list(CLASSES)
    else:
        model, planted, accuracy = make(case, work)
        unrelated = unrelated_planted(model, planted.root, UNRELATED)
        labels = [str(planted.design.shortcut)] if case.kind == "shortcut" else list(planted.design.decided)
    labels = labels[:: -(-len(labels) // MOST_CLASSES)]
    explain = Explainer(model, unrelated, preset, work / name / "store")
    classes = []
    for label in labels:
        known = known_other(model, label, CLIPS) if case is None else known_planted(model, planted, label, CLIPS)
        again = repeated and not classes and (case is None or case.kind == "trained")
        classes.append(examine(explain, known, repeated=again))
        print(f"{name} {preset} {label}: {time.monotonic() - start:.0f} s", flush=True)
    kind, size = ("trained", len(CLASSES)) if case is None else (case.kind, len(planted.design.classes))
    result = {"case": name, "kind": kind, "size": size, "accuracy": accuracy, "preset": preset, "classes": classes}
    kept.write_text(json.dumps(result))
    return result


def print_cases(results: list[dict]) -> None:
    names = ("top_recall", "top_precision", "top_iou", "strict_rank_first", "fragments", "seed_iou", "bootstrap_iou")
    print(f"\n{'network':38s} {'accuracy':>8s} " + " ".join(f"{n.removeprefix('top_')[:9]:>9s}" for n in names))
    for r in results:
        rows = [c["figures"] for c in r["classes"] if "figures" in c]
        if rows and r["kind"] == "trained":
            own = {n: [x[n] for x in rows if n in x] for n in names}
            cells = [f"{np.mean(own[n]):9.2f}" if own[n] else " " * 9 for n in names]
            print(f"{r['case']:38s} {r['accuracy']:8.3f} " + " ".join(cells))


def _significant(classes: list[dict]) -> list[tuple[float, float]]:
    return [(c["few"], c["figures"]["significant"]) for c in classes]


def report(results: list[dict], preset: str) -> dict:
    """Print the tables of one preset; returns its summary."""
    rng, summary = np.random.default_rng(0), {}
    print(f"\n=== preset {preset}")
    print_cases(results)
    trained = [c for r in results if r["kind"] == "trained" for c in r["classes"] if "figures" in c]
    print(f"\n{len(trained)} classes of {sum(r['kind'] == 'trained' for r in results)} networks, 95 % intervals")
    for name in (*FIGURES, *BESIDE, *RANK):
        values = [c["figures"][name] for c in trained if name in c["figures"]]
        if values:
            mean, low, high = interval(values, rng)
            print(f"{name:20s} {mean:5.2f} [{low:5.2f}, {high:5.2f}]")
            summary |= {name: round(mean, 4), f"{name}_interval": [round(low, 4), round(high, 4)]}
    powers = {}
    for size in sorted({r["size"] for r in results if r["kind"] == "trained"}):
        nets = [r for r in results if r["kind"] == "trained" and r["size"] == size]
        own = [c for r in nets for c in r["classes"] if "figures" in c]
        few, all_clips = (
            float(np.mean(x)) for x in zip(*((c["few"], c["figures"]["significant"]) for c in own), strict=True)
        )
        powers[size] = few, all_clips
        print(f"power, networks of {size} classes: {few:.2f} at {FEW} clips, {all_clips:.2f} at {CLIPS}")
    summary["power"] = round(float(np.mean([c["few"] for c in trained])), 4)
    summary["power_by_classes"] = powers
    traps = [c for r in results if r["kind"] == "shortcut" for c in r["classes"] if "shortcut" in c.get("relied", ())]
    found = [c["figures"]["strict_rank_first"] for c in traps if max(c["drop"], key=c["drop"].get) == "shortcut"]
    summary["shortcut_found"] = float(np.mean(found)) if found else None
    listed = [c["figures"]["patch_listed"] for c in traps]
    summary["shortcut_listed"] = float(np.mean(listed)) if listed else None
    blind = [np.mean(np.array(c["q"]) < 0.05) for r in results if r["kind"] in BLIND for c in r["classes"]]
    if blind:
        mean, low, high = interval(blind, rng)
        print(f"false discovery {mean:.3f} [{low:.3f}, {high:.3f}] over {len(blind)} classes of blind networks")
        summary |= {"false_discovery": round(mean, 4), "false_discovery_interval": [round(low, 4), round(high, 4)]}
    return summary


def real_figures(asked: argparse.Namespace) -> dict:
    """The figures of the real sets that are here, of the first preset."""
    chosen = [real for real in REAL if not asked.only or real.name in asked.only]
    for real in chosen:
        if reason := missing(real):
            print(f"{real.name}: skipped, {reason}")
    there = [real for real in chosen if not missing(real)]
    with ProcessPoolExecutor(asked.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        started = [pool.submit(run_real, real, asked.presets[0], asked.work) for real in there]
        return report_real([job.result() for job in started])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/truth"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cases", choices=("report", "tuning", "real"), default="report")
    parser.add_argument("--only", nargs="+", help="names of networks")
    parser.add_argument("--presets", nargs="+", choices=list(PRESETS), default=["default"])
    parser.add_argument("--quick", action="store_true", help="the first networks of each kind; no repeated runs")
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    if asked.cases == "real":
        print(json.dumps(real_figures(asked)))
        return
    cases: list[Case | None] = list(REPORT if asked.cases == "report" else TUNING)
    if asked.quick:
        cases = [next(c for c in cases if c and c.kind == k) for k in dict.fromkeys(c.kind for c in cases if c)]
    cases += [None] if asked.cases == "report" else []
    cases = [c for c in cases if not asked.only or (c.name if c else OTHER) in asked.only]
    if len(cases) > 1 and cases[0] is not None:
        make(cases[0], asked.work)  # others start from its weights
    with ProcessPoolExecutor(asked.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        # The papers' presets compute a hundred times as much: on the first networks only.
        tasks = [(c, p) for p in asked.presets for c in (cases if p == "default" else cases[:2])]
        started = [pool.submit(run_case, c, p, asked.work, not asked.quick) for c, p in tasks]
        results = [job.result() for job in started]
    summaries = {p: report([r for r in results if r["preset"] == p], p) for p in asked.presets}
    first = asked.presets[0]
    print(json.dumps(summaries[first] | {"networks": len(cases), "presets": summaries}))


if __name__ == "__main__":
    main()
