"""What the modes lose beside exact float32: concepts, ranking and evaluation compared.

    python benchmarks/fidelity.py [--sets planted weizmann utd] [--data DIR --weizmann-weights FILE --utd-weights FILE]
        [--modes …] [--seeds 3] [--clips N] [--classes N] [--output DIR]

Every class is explained and evaluated in every mode at every seed, and compared with float32 at the same seed. What a
mode may cost is measured, not chosen: the row `another seed` compares exact runs of float32 with each other.
Supervoxels are the same in all modes and made once; every other result is a mode's own. A result that is in --output
is not computed again. One Markdown table a set, its columns explained above it; the last line is one JSON object.

--weizmann-weights: persons ido, lena, moshe are held out. --utd-weights: even subjects are held out, and black is shown
instead of what is hidden, for the reason in docs/results.md.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import adjusted_mutual_info_score

from fidelity_figures import EXACT, Result, in_words, markdown, summary
from fidelity_sets import FOLDERS, MODES, Ground, ground, settings_of
from truth import first
from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.evaluate import AddRemoveCurves
from voxplain.concepts.order_tests import order_test
from voxplain.concepts.settings import ConceptSettings
from voxplain.datasets import read_clips
from voxplain.datasets.planted.reliance import Reliance, concept_coverage, reliance, spearman, true_scores
from voxplain.explain import evaluate_concepts, explain_concepts
from voxplain.explain.central_window import central_window
from voxplain.explain.session import open_session
from voxplain.nets import weights_digest
from voxplain.progress import quiet, timed
from voxplain.runtime import ThreadExecutor
from voxplain.store import Store, gather, key
from voxplain.video import Clip

HERE = partial(ThreadExecutor, workers=1)
RIVALS = {"least": "", "least at equal coverage": ", equal coverage"}


@dataclass(frozen=True, eq=False)
class Subject:
    """A class's clips, with their supervoxels in a store, and what the network truly relies on, where it is known."""

    label: str
    clips: list[Clip]
    held: list[Clip]
    parts: Path
    truths: dict[str, Reliance]  # by score, of the objective that it measures


def prepare(at: Ground, label: str, home: Path) -> Subject:
    """Read a class's videos and make all supervoxels that any mode needs."""
    reader, settings = at.model.reader(), at.settings
    clips = list(read_clips(at.train.of_class(label), reader, limit=settings.videos).clips)
    held = [
        central_window(at.model, c) for c in read_clips(at.test.of_class(label), reader, limit=settings.videos).clips
    ]
    shared = home / "supervoxels"
    session = open_session(
        at.model, settings_of(EXACT, settings, 0), Store(shared), clips, executor=HERE, shard=None, progress=quiet
    )
    for clip in (*clips, *at.random):
        session.supervoxels(clip, deduplicate=True)
    for clip in held:
        session.supervoxels(clip, deduplicate=settings.test_deduplicate)
    y, truths = at.model.class_index(label), {}
    if at.planted is not None:
        for score, objective in (("effect", "log_odds"), ("tcav", "logit")):
            truths[score] = reliance(at.model, at.planted, clips, y, objective=objective)
    return Subject(label, clips, held, shared, truths)


@contextmanager
def processor(seconds: dict[str, float], what: str) -> Iterator[Callable[..., None]]:
    """Add the processor time of a step to ``seconds``: the clock on the wall also counts what else a machine does."""
    start = time.process_time()
    yield lambda items=1: None
    seconds[what] = seconds.get(what, 0.0) + time.process_time() - start


def gains(steps: AddRemoveCurves, other: str) -> list[float]:
    """The area of top beyond ``other`` in every video by itself; NaN where there is nothing to compare."""

    def alone(v: int) -> AddRemoveCurves:
        row = slice(v, v + 1)
        return replace(
            steps,
            logits=steps.logits[:, row],
            coverage=steps.coverage[:, row],
            matched=steps.matched[row],
            matched_right=steps.matched_right[row],
            truth=steps.truth[row],
            unmodified=steps.unmodified[row],
        )

    return [order_test(alone(v), other, samples=1).difference for v in range(len(steps.truth))]


def truth_of(at: Ground, subject: Subject, run: ConceptRun) -> dict[str, float]:
    """How scores follow true reliance, and whether the object relied on most is covered by the concept on top."""
    if at.planted is None:
        return {}
    names, most = subject.truths["tcav"].names, subject.truths["tcav"].most
    recall, _ = concept_coverage(at.planted, run.clips, run.supervoxels, run.assigned, len(run.bank), names)
    covered = recall.mean(0)[:, names.index(most)].tolist()
    rho = {
        f"truth {score}": spearman(run.scores[score].value, true_scores(truth, recall))
        for score, truth in subject.truths.items()
    }
    return rho | {"object first": float(first(run.scores["effect"].value.tolist(), covered))}


def explained(at: Ground, subject: Subject, settings: ConceptSettings, home: Path) -> Result:
    """One class in one mode at one seed, as plain numbers."""
    store, began = Store(home / "store"), home / f"{subject.label}-{settings.seed}.began"
    again = began.exists()  # killed in its course: what it had stored would take no time now
    began.touch()
    gather(store, [subject.parts])
    wall: dict[str, float] = {}
    cpu: dict[str, float] = {}
    show = timed(lambda what, total: processor(cpu, what), wall)
    run = explain_concepts(
        at.model,
        subject.clips,
        random=at.random,
        target=subject.label,
        settings=settings,
        store=store,
        progress=show,
        executor=HERE,
    )
    run = evaluate_concepts(run, subject.held, settings=settings, store=store, executor=HERE)
    evaluation = run.evaluation
    assert evaluation is not None  # just made
    return {
        "assigned": np.concatenate(run.assigned).tolist(),
        "members": [m.tolist() for m in run.bank.members],
        "effect": run.scores["effect"].value.tolist(),
        "tcav": run.scores["tcav"].value.tolist(),
        "order": run.order.tolist(),
        "right": evaluation.adding.baseline(),
        "precision": run.provenance["precision"],
        "reason": run.provenance["inference"],
        "own": truth_of(at, subject, run),
        "seen": {
            "follows clip": float(adjusted_mutual_info_score(run.origin[:, 0], np.concatenate(run.assigned))),
            "top covers": float(evaluation.adding.by_order(evaluation.adding.coverage)["top"][:, 1].mean()),
        },
        "gains": {
            steps.kind + words: gains(steps, other)
            for steps in (evaluation.adding, evaluation.removing)
            for other, words in RIVALS.items()
        },
        "cpu": None if again else cpu,
        "wall": None if again else wall,
    }


def plain(mode: str) -> str:
    """A mode's name as a folder's."""
    return mode.replace(" ", "-")


def results_of(at: Ground, label: str, asked: argparse.Namespace) -> list[Result]:
    """All modes and seeds of a class, made or found."""
    home, made = asked.output / at.name, {}
    results = Store(home / "results")
    subject = cache(lambda: prepare(at, label, home))
    known = {"weights": weights_digest(at.model.net), "paths": [p.name for p in at.train.of_class(label).paths]}
    for seed in range(asked.seeds):
        for mode in [m for m in MODES if m in (EXACT, *asked.modes)]:
            settings = replace(settings_of(mode, at.settings, at.model.grid[1]), seed=seed)

            def make(mode: str = mode, settings: ConceptSettings = settings, seed: int = seed) -> Result:
                if mode == "exact":
                    fast = open_session(
                        at.model, settings, results, subject().clips, executor=HERE, shard=None, progress=quiet
                    ).fast
                    if fast.precision == "fp32":  # the same bytes
                        return made[EXACT, seed] | {"same": EXACT, "reason": fast.reason}
                return explained(at, subject(), settings, home / plain(mode))

            name = key("fidelity", 1, label=label, settings=settings, **known)
            made[mode, seed] = results.record(plain(mode), name, make) | {"label": label, "mode": mode, "seed": seed}
        print(f"{at.name} {label}: seed {seed} done", flush=True)
    return list(made.values())


def rounded(figures: dict) -> dict:
    """The same with four digits behind the point, as JSON gives it back."""
    return json.loads(json.dumps(figures), parse_float=lambda text: round(float(text), 4))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = os.environ.get("VOXPLAIN_DATA")
    parser.add_argument("--sets", nargs="+", choices=("planted", *FOLDERS), default=["planted", *FOLDERS])
    parser.add_argument("--data", type=Path, default=Path(data) if data else None)
    parser.add_argument("--weizmann-weights", type=Path)
    parser.add_argument("--utd-weights", type=Path)
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--clips", type=int, default=20, help="most videos a class, to explain and to evaluate")
    parser.add_argument("--classes", type=int, default=10, help="most classes a set, spread over their names")
    parser.add_argument("--output", type=Path, default=Path("runs/fidelity"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    pages, figures = [], {}
    for name in asked.sets:
        at = ground(name, asked)
        if at is None:
            continue
        found = summary([r for label in at.labels for r in results_of(at, label, asked)])
        size = f"{len(at.labels)} classes, {found['videos']} test videos, {asked.seeds} seeds"
        pages.append(f"## {name}: {at.model.name}, {size}\n\n{markdown(found)}\n\n{in_words(found)}\n")
        figures[name] = rounded({"classes": at.labels, "clips": asked.clips, "seeds": asked.seeds, **found})
        print(f"\n{pages[-1]}", flush=True)
        (asked.output / "table.md").write_text("\n".join(pages))
        (asked.output / "results.json").write_text(json.dumps(figures))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
