"""Does the ranking name what the network truly relies on? Planted truth, for every score, over several networks.

    python benchmarks/truth.py [--work DIR] [--jobs 2] [--quick]

The networks are trained on planted designs (shapes and motions) that no default was chosen on. Truth: each clip is
rendered again without one object, and the mean drop of the class's logit is the network's reliance on it. A concept's
true score is the reliance on what it covers: sum over objects of (mean drop × mean share of the object it covers).

rank_first       share of classes whose top concept covers the most relied-on object (at least half as much of it as
                 the concept that covers it best)
spearman         mean rank correlation between concept scores and true scores
shortcut_found   share of shortcut networks in whose trapped class the top concept covers the patch, among those where
                 the patch truly is relied on most
false_discovery  share of concepts called significant (q < 0.05) in networks with random weights or shuffled labels
"""

import argparse
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from truth_nets import CASES, Case, make
from voxplain.concepts.classifiers import CLASSIFIERS
from voxplain.concepts.rank import EFFECTS
from voxplain.concepts.run import ConceptRun
from voxplain.concepts.score import SCORES, directional_derivatives
from voxplain.concepts.settings import ConceptSettings
from voxplain.concepts.significance import paired_t
from voxplain.concepts.truth import concept_coverage, reliance, spearman, true_scores
from voxplain.datasets import read_clips, scan_folder
from voxplain.datasets.planted import PlantedSet
from voxplain.explain import explain_concepts
from voxplain.model import OBJECTIVES, VideoModel, stack
from voxplain.store import Store

BLIND = ("random", "shuffled")  # networks that know no class
SETTINGS = ConceptSettings(videos=20, random_videos=60, random_crops=15)


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
    (f"{negatives} {name}", {"negatives": negatives, "classifier": CLASSIFIERS[name]})
    for negatives in ("matched", "raw")
    for name in ("ridge", "hinge")
)


def examine(
    model: VideoModel, planted: PlantedSet, label: str, settings: ConceptSettings, work: Path, variants: int
) -> dict:
    """Truth and scores of one class, as plain numbers."""
    y = model.class_index(label)
    reader = model.reader()
    clips = read_clips(scan_folder(planted.root, part="train").of_class(label), reader, limit=settings.videos).clips
    random = read_clips(scan_folder(planted.root / "unrelated"), reader, limit=settings.random_videos).clips
    runs = {
        name: explain_concepts(
            model, clips, random=random, target=label, store=Store(work / "store"), settings=replace(settings, **own)
        )
        for name, own in VARIANTS[:variants]
    }
    run = runs["matched ridge"]
    truth = reliance(model, planted, clips, y, objective="logit")
    recall, _ = concept_coverage(planted, clips, run.supervoxels, run.assigned, len(run.bank), truth.names)
    most = truth.names.index(truth.most)
    effect, tcav = run.scores["effect"], run.scores["tcav"]
    reference = paired_t(tcav.scores, np.resize(tcav.null, tcav.scores.shape[1]))
    return {
        "label": label,
        "motion": label in planted.design.motions,
        "drop": dict(zip(truth.names, np.nan_to_num(truth.drop).mean(0).tolist(), strict=True)),
        "frozen": dict(zip(truth.names, np.nan_to_num(truth.frozen).mean(0).tolist(), strict=True)),
        "most": truth.most,
        "true": true_scores(truth, recall).tolist(),
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
    kept = work / case.name / f"truth-{settings.videos}.json"
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


def report(results: list[dict]) -> dict:
    """Print the tables; returns the summary."""
    rng = np.random.default_rng(0)
    trained = [c for r in results if r["kind"] == "trained" for c in r["classes"]]
    for r in results:
        print(f"{r['case']}: held-out accuracy {r['accuracy']:.3f}")
    print("\ntrue reliance: mean drop of the class logit without the object / with its motion frozen")
    for r in results:
        for c in r["classes"] if r["kind"] in ("trained", "shortcut") else []:
            parts = ", ".join(f"{n} {v:.2f}/{c['frozen'][n]:.2f}" for n, v in c["drop"].items())
            print(f"  {r['case']} {c['label']}{' (motion)' if c['motion'] else ''}: {parts}")
    rows = {}
    for name in trained[0]["scores"]:
        hits = [float(first(c["scores"][name], c["covered"])) for c in trained]
        exact = [float(np.argmax(c["scores"][name]) == np.argmax(c["true"])) for c in trained]
        rho = [spearman(np.array(c["scores"][name]), np.array(c["true"])) for c in trained]
        rows[name] = (np.mean(hits), interval(hits, rng), np.mean(exact), np.mean(rho), interval(rho, rng))
    print(f"\n{len(trained)} classes of {sum(r['kind'] == 'trained' for r in results)} networks, 95 % intervals")
    print(f"{'score':44s} {'rank first':>22s} {'exact top':>10s} {'Spearman':>22s}")
    for name, (hit, a, exact, rho, b) in sorted(rows.items(), key=lambda x: -x[1][3]):
        print(f"{name:44s} {hit:6.2f} [{a[0]:5.2f}, {a[1]:5.2f}] {exact:10.2f} {rho:6.2f} [{b[0]:5.2f}, {b[1]:5.2f}]")
    name = f"effect {SETTINGS.effect_kind}"
    traps = [c for r in results if r["kind"] == "shortcut" for c in r["classes"]]
    relied = [c for c in traps if c["most"] == "shortcut"]
    found = [float(first(c["scores"][name], c["covered"])) for c in relied]
    blind = [c for r in results if r["kind"] in BLIND for c in r["classes"]]
    false = [float(q < 0.05) for c in blind for q in c["effect_q"]]
    shares = [float(np.mean(np.array(c["effect_q"]) < 0.05)) for c in blind]
    power = [float(detected(c)) for c in trained]
    print(
        f"\nshortcut relied on most in {len(relied)} of {len(traps)} trapped classes; ranked first in {sum(found):.0f}"
    )
    for kind in BLIND:
        own = [c for r in results if r["kind"] == kind for c in r["classes"]]
        for test, level in (("effect_q", 0.05), ("tcav_q", 0.05), ("paired_p", 0.01)):
            values = [float(q < level) for c in own for q in c[test]]
            if values:
                print(f"{kind} network, {test} < {level}: {np.mean(values):.3f} of {len(values)} concepts")
    if shares:
        low, high = interval(shares, rng)
        print(f"all of them: {np.mean(false):.3f} [{low:.3f}, {high:.3f}], interval over {len(blind)} classes")
    print(f"power: relied-on object has a significant concept in {np.mean(power):.2f} of {len(power)} classes")
    best = rows[name]
    return {
        "rank_first": round(float(best[0]), 4),
        "rank_first_interval": [round(v, 4) for v in best[1]],
        "spearman": round(float(best[3]), 4),
        "spearman_interval": [round(v, 4) for v in best[4]],
        "shortcut_found": round(float(np.mean(found)), 4) if found else None,
        "shortcut_relied_on": f"{len(relied)} of {len(traps)}",
        "false_discovery": round(float(np.mean(false)), 4) if false else None,
        "false_discovery_interval": [round(v, 4) for v in interval(shares, rng)] if shares else None,
        "power": round(float(np.mean(power)), 4),
        "classes": len(trained),
        "networks": len(results),
        "scores": {
            n: {"rank_first": round(float(r[0]), 4), "spearman": round(float(r[3]), 4)} for n, r in rows.items()
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
