"""Does the ranking name what the network truly relies on? Planted truth, for every score, over several networks.

    python benchmarks/truth.py [--work DIR] [--jobs 2] [--quick]

The networks are trained on planted designs (shapes and motions) that no default was chosen on. Truth: each clip is
rendered again without one object, and the mean drop of the class's logit (and, beside it, of its log-odds against the
other classes) is the network's reliance on it. A concept's true score is the reliance on what it covers: sum over
objects of (mean drop × mean share of the object it covers).

rank_first       share of classes whose top concept covers the most relied-on object (at least half as much of it as
                 the concept that covers it best)
spearman         mean rank correlation between concept scores and true scores by the logit
spearman_log_odds  the same with true scores by the log-odds, the quantity that the default score measures
shortcut_found   share of shortcut networks in whose trapped class the top concept covers the patch, among those where
                 the patch truly is relied on most
false_discovery  share of concepts called significant (q < 0.05) in networks with random weights or shuffled labels
"""

import argparse
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from truth_nets import CASES, Case, make
from voxplain.concepts.classifiers import CLASSIFIERS
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.rank import EFFECTS
from voxplain.concepts.score import SCORES, directional_derivatives
from voxplain.concepts.settings import ConceptSettings
from voxplain.concepts.significance import paired_t
from voxplain.datasets import read_clips, scan_folder
from voxplain.datasets.planted import PlantedSet
from voxplain.datasets.planted.reliance import concept_coverage, reliance, spearman, true_scores
from voxplain.explain import explain_concepts
from voxplain.model import OBJECTIVES, VideoModel, stack
from voxplain.store import Store

BLIND = ("random", "shuffled")  # networks that know no class
SETTINGS = ConceptSettings(videos=20, unrelated_videos=60, unrelated_crops=15)


def scores_of(model: VideoModel, runs: dict[str, ConceptRun], y: int) -> dict[str, np.ndarray]:
    """Every score's value per concept; the runs differ in how their CAVs were learnt."""
    first = next(iter(runs.values()))
    found = {f"effect {n}": np.nan_to_num(drop(first.effects, y, "log_odds")).mean(0) for n, drop in EFFECTS.items()}
    frames = stack(first.clips)
    for objective in OBJECTIVES:
        gradients = model.gradient(frames, y, objective=objective)
        for name, run in runs.items():
            derivatives = directional_derivatives(gradients, run.cavs)
            for score, function in SCORES.items():
                found[f"tcav {name} {objective} {score}"] = function(derivatives).mean(1)
    return found


# How CAVs are learnt, by name; the first is the default. Where there is nothing to find only the default is run.
VARIANTS = tuple(
    (f"{examples} {name}", {"unrelated_examples": examples, "classifier": CLASSIFIERS[name]})
    for examples in ("matched", "raw")
    for name in ("ridge", "hinge")
)


def examine(
    model: VideoModel, planted: PlantedSet, label: str, settings: ConceptSettings, work: Path, variants: int
) -> dict:
    """Truth and scores of one class, as plain numbers."""
    y = model.class_index(label)
    reader = model.reader()
    clips = read_clips(scan_folder(planted.root, part="train").of_class(label), reader, limit=settings.videos).clips
    random = read_clips(scan_folder(planted.root / "unrelated"), reader, limit=settings.unrelated_videos).clips
    runs = {
        name: explain_concepts(
            model, clips, random=random, target=label, store=Store(work / "store"), settings=replace(settings, **own)
        )
        for name, own in VARIANTS[:variants]
    }
    run = runs["matched ridge"]
    truth = reliance(model, planted, clips, y, objective="logit")
    margin = reliance(model, planted, clips, y, objective="log_odds")
    recall, _ = concept_coverage(planted, clips, run.supervoxels, run.assigned, len(run.bank), truth.names)
    most = truth.names.index(truth.most)
    effect, tcav = run.scores["effect"], run.scores["tcav"]
    reference = paired_t(tcav.scores, np.resize(tcav.null, tcav.scores.shape[1])).p_value()
    return {
        "label": label,
        "motion": label in planted.design.motions,
        "drop": dict(zip(truth.names, np.nan_to_num(truth.drop).mean(0).tolist(), strict=True)),
        "frozen": dict(zip(truth.names, np.nan_to_num(truth.frozen).mean(0).tolist(), strict=True)),
        "most": truth.most,
        "drop_log_odds": dict(zip(margin.names, np.nan_to_num(margin.drop).mean(0).tolist(), strict=True)),
        "true": true_scores(truth, recall).tolist(),
        "true_log_odds": true_scores(margin, recall).tolist(),
        "covered": recall.mean(0)[:, most].tolist(),
        "scores": {name: value.tolist() for name, value in scores_of(model, runs, y).items()},
        "effect_p": effect.p_value.tolist(),
        "effect_q": effect.q_value.tolist(),
        "tcav_q": tcav.q_value.tolist(),
        "paired_p": np.asarray(reference).tolist(),
    }


def run_case(case: Case, work: Path, settings: ConceptSettings) -> dict:
    """All classes of one network; kept in WORK/<case>/truth.json and found again."""
    torch.set_num_threads(1)
    kept = work / case.name / f"truth-{settings.videos}-2.json"
    if kept.exists():
        return json.loads(kept.read_text())
    model, planted, accuracy = make(case, work)
    labels = [planted.design.shortcut] if case.kind == "shortcut" else list(planted.design.decided)
    classes = []
    for label in labels:
        variants = 1 if case.kind in BLIND else len(VARIANTS)
        classes.append(examine(model, planted, str(label), settings, work / case.name, variants))
        print(f"{case.name} {label}: done", flush=True)
    result = {"case": case.name, "kind": case.kind, "accuracy": accuracy, "classes": classes}
    kept.write_text(json.dumps(result))
    return result


def first(scores: list[float], covered: list[float]) -> bool:
    """Whether the top concept covers at least half as much of the object as the one that covers it best."""
    return covered[int(np.argmax(scores))] >= 0.5 * max(covered)


def detected(c: dict) -> bool:
    """Whether a concept that covers the relied-on object is called significant."""
    covers = np.array(c["covered"]) >= 0.5 * max(c["covered"])
    return bool((np.array(c["effect_q"])[covers] < 0.05).any())


def interval(values: list[float], rng: np.random.Generator) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean over classes."""
    x = np.asarray(values, float)
    means = x[rng.integers(len(x), size=(2000, len(x)))].mean(1)
    return float(np.percentile(means, 2.5)), float(np.percentile(means, 97.5))


@dataclass(frozen=True)
class MethodResult:
    """One score over all classes: rank_first, exact top, and Spearman with either truth; (mean, low, high) each."""

    rank_first: tuple[float, float, float]
    exact: tuple[float, float, float]
    spearman: tuple[float, float, float]
    spearman_log_odds: tuple[float, float, float]


def judge(name: str, classes: list[dict], rng: np.random.Generator) -> MethodResult:
    def mean(values: list[float]) -> tuple[float, float, float]:
        return (float(np.mean(values)), *interval(values, rng))

    def rho(truth: str) -> list[float]:
        return [spearman(np.array(c["scores"][name]), np.array(c[truth])) for c in classes]

    return MethodResult(
        mean([float(first(c["scores"][name], c["covered"])) for c in classes]),
        mean([float(np.argmax(c["scores"][name]) == np.argmax(c["true"])) for c in classes]),
        mean(rho("true")),
        mean(rho("true_log_odds")),
    )


def print_truth(results: list[dict]) -> None:
    for r in results:
        print(f"{r['case']}: held-out accuracy {r['accuracy']:.3f}")
    print(
        "\ntrue reliance: mean drop of the class's logit without the object / held still / of its log-odds without it"
    )
    for r in results:
        for c in r["classes"] if r["kind"] not in BLIND else []:
            parts = ", ".join(
                f"{n} {v:.2f}/{c['frozen'][n]:.2f}/{c['drop_log_odds'][n]:.2f}" for n, v in c["drop"].items()
            )
            print(f"  {r['case']} {c['label']}{' (motion)' if c['motion'] else ''}: {parts}")


def print_scores(scores: dict[str, MethodResult], classes: int, networks: int) -> None:
    print(f"\n{classes} classes of {networks} networks, 95 % intervals over classes")
    print(f"{'score':44s} {'rank first':>18s} {'exact':>6s} {'Spearman (logit)':>20s} {'Spearman (log-odds)':>20s}")
    for name, j in sorted(scores.items(), key=lambda x: -x[1].spearman_log_odds[0]):
        cells = [f"{m:5.2f} [{a:5.2f}, {b:5.2f}]" for m, a, b in (j.rank_first, j.spearman, j.spearman_log_odds)]
        print(f"{name:44s} {cells[0]:>18s} {j.exact[0]:6.2f} {cells[1]:>20s} {cells[2]:>20s}")


def false_discoveries(results: list[dict], rng: np.random.Generator) -> dict:
    """Print and return the share of concepts called significant where nothing is to be found."""
    for kind in BLIND:
        own = [c for r in results if r["kind"] == kind for c in r["classes"]]
        for test, level in (("effect_q", 0.05), ("tcav_q", 0.05), ("paired_p", 0.01)):
            values = [float(q < level) for c in own for q in c[test]]
            if values:
                print(f"{kind} network, {test} < {level}: {np.mean(values):.3f} of {len(values)} concepts")
    blind = [np.array(c["effect_q"]) < 0.05 for r in results if r["kind"] in BLIND for c in r["classes"]]
    if not blind:
        return {"false_discovery": None}
    low, high = interval([float(row.mean()) for row in blind], rng)
    share = float(np.concatenate(blind).mean())
    print(f"all of them, effect: {share:.3f} [{low:.3f}, {high:.3f}], interval over {len(blind)} classes")
    return {"false_discovery": round(share, 4), "false_discovery_interval": [round(low, 4), round(high, 4)]}


def report(results: list[dict]) -> dict:
    """Print the tables; returns the summary."""
    rng = np.random.default_rng(0)
    trained = [c for r in results if r["kind"] == "trained" for c in r["classes"]]
    scores = {name: judge(name, trained, rng) for name in trained[0]["scores"]}
    print_truth(results)
    print_scores(scores, len(trained), sum(r["kind"] == "trained" for r in results))
    name = f"effect {SETTINGS.effect_kind}"
    traps = [c for r in results if r["kind"] == "shortcut" for c in r["classes"]]
    relied = [c for c in traps if c["most"] == "shortcut"]
    found = [float(first(c["scores"][name], c["covered"])) for c in relied]
    print(
        f"\nshortcut relied on most in {len(relied)} of {len(traps)} trapped classes; ranked first in {sum(found):.0f}"
    )
    power = float(np.mean([detected(c) for c in trained]))
    false = false_discoveries(results, rng)
    print(f"power: the relied-on object has a significant concept in {power:.2f} of {len(trained)} classes")
    best = scores[name]
    summary: dict = {}
    for key in ("rank_first", "spearman", "spearman_log_odds"):
        value, low, high = getattr(best, key)
        summary |= {key: round(value, 4), f"{key}_interval": [round(low, 4), round(high, 4)]}
    return {
        **summary,
        "shortcut_found": round(float(np.mean(found)), 4) if found else None,
        "shortcut_relied_on": f"{len(relied)} of {len(traps)}",
        **false,
        "power": round(power, 4),
        "classes": len(trained),
        "networks": len(results),
        "scores": {
            n: {key: round(getattr(j, key)[0], 4) for key in ("rank_first", "spearman", "spearman_log_odds")}
            for n, j in scores.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/truth"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="one network of each kind")
    asked = parser.parse_args()
    chosen = [next(c for c in CASES if c.kind == k) for k in dict.fromkeys(c.kind for c in CASES)]
    cases = chosen if asked.quick else list(CASES)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(asked.jobs, mp_context=spawn) as pool:
        results = list(pool.map(run_case, cases, [asked.work] * len(cases), [SETTINGS] * len(cases)))
    print(json.dumps(report(results)))


if __name__ == "__main__":
    main()
