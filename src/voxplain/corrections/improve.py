"""From a run and its data to a corrected network that is compared with what it must beat."""

import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from voxplain.concepts.concept_run import ConceptRun
from voxplain.concepts.description import describe_concepts
from voxplain.corrections import CORRECTIONS
from voxplain.corrections.clip_change import clip_changes, contradicting
from voxplain.corrections.compare import Gain, Outcome, compare, measure, worst_group
from voxplain.corrections.content_effect import Reliance, reliance_on
from voxplain.corrections.correction import Correction
from voxplain.corrections.examples import Examples, removed
from voxplain.corrections.improved import Improved, NetworkRow
from voxplain.corrections.labelled import labelled_examples
from voxplain.datasets import VideoSet
from voxplain.errors import DataError, ModelError
from voxplain.model import VideoModel
from voxplain.nets import load_weights, save_weights, weights_digest
from voxplain.progress import ShowProgress, quiet
from voxplain.statistics import SIGNIFICANT
from voxplain.store import AUDIT_FILE, Store, load_audit
from voxplain.store.keys import key
from voxplain.version import __version__
from voxplain.video import Damaged
from voxplain.video.lost_videos import noted_losses

__all__ = ["audited_suspects", "improve", "suspected"]


# Of a concept at one place: how long a cell of the picture is covered at least, as a share of the time over the clips
# that have it, and how far its centre wanders between clips at most, in frame widths. Evidence is in docs/audit.md.
COVERED, WANDER = 0.65, 0.1


def suspected(run: ConceptRun) -> tuple[int, ...]:
    """Concepts that look like a shortcut: significant, and at one place in all clips.

    Captions, logos and marks are of this kind, and so are parts of a fixed background. Motion is not asked for, because
    a shaking camera moves a caption that is part of the scene.

    Parameters
    ----------
    run : ConceptRun

    Returns
    -------
    tuple of int

    Raises
    ------
    DataError
        Where there is none.
    """
    found, q = describe_concepts(run), run.scores[run.ranking].q_value
    placed = [d.wander <= WANDER and float(d.where.max()) >= COVERED for d in found]
    fixed = tuple(int(k) for k in run.order if placed[k] and q[k] < SIGNIFICANT)
    if not fixed:
        raise DataError(
            "expected a significant concept that is at one place in all clips, got none; look at the report and "
            "name the concepts to remove"
        )
    return fixed


def audited_suspects(folder: Path | str, run: ConceptRun) -> tuple[int, ...]:
    """Concepts that the audit of which a run is a part calls suspected (`voxplain.audits.suspects`).

    Parameters
    ----------
    folder : path
        Of the run; the audit's record is in the folder above it.
    run : ConceptRun

    Returns
    -------
    tuple of int
        Empty where the run is of no audit.

    Raises
    ------
    DataError
        Where the audit suspects no concept of the class.
    """
    above = Path(folder).resolve().parent
    if not (above / AUDIT_FILE).is_file():
        return ()
    found = load_audit(above).suspects(run.target)
    if not found:
        raise DataError(
            f"expected an audit that suspects a concept of {run.target!r}, got none in {above}; look at its page and "
            "name the concepts to remove"
        )
    return found


def improve(
    model: VideoModel,
    run: ConceptRun,
    *,
    data: Path | str | VideoSet,
    remove: Sequence[int] = (),
    keep: Sequence[int] = (),
    test: Path | str | VideoSet | None = None,
    method: str | Correction | None = None,
    seeds: int = 3,
    clips: int | None = None,
    damaged: Damaged = "skip",
    output: Path | str | None = None,
    progress: ShowProgress = quiet,
) -> Improved:
    """Correct a copy of a network with the concepts of a run, and measure whether it is better.

    In the same run the corrected network is compared with the original, with the same training without correction, and
    with the correction of a random concept of the same volume, which must bring nothing. The original is never changed.
    What is to be removed, the random concept too, is tested first: where pasting it into other clips does not raise
    the log-odds of the class (p < 0.05), there is nothing to correct, and the network of the training without
    correction, or the original where nothing is trained, stands in its place; ``parameters`` have the tests.

    Parameters
    ----------
    model : VideoModel
        The network that the run explains.
    run : ConceptRun
        Result of `explain_concepts` or `load_run`.
    data : path or VideoSet
        Labelled training videos of all classes: a folder of class folders, or one with train/ and test/.
    remove, keep : sequence of int
        Concepts that the network shall not rely on, and those that it shall.
    test : path or VideoSet, optional
        Held-out videos. By default test/ of the folder, or else every fourth video of each class.
    method : str or Correction, optional
        An entry of `CORRECTIONS`; by default concept_swap where concepts are to be removed, else keep_concepts.
    seeds : int
        Corrections with other random numbers; the first is returned.
    clips : int, optional
        Training videos a class at most; default: all.
    damaged : {"skip", "use", "fail"}
        What is done with videos of which frames are lost, see `ClipReader`.
    output : path, optional
        Folder for the weights, the record and what has been computed, from which a killed run goes on.
    progress : callable, optional
        As `voxplain.progress.progress_bar`.

    Returns
    -------
    Improved

    Raises
    ------
    DataError
        For unknown concepts or methods, fewer than 1 seed, data without the classes of the network, and a damaged video
        where ``damaged`` is "fail".
    ModelError
        For another network than the run's.
    """
    correction, name = chosen_correction(method, remove, keep)
    if seeds < 1:
        raise DataError(f"expected 1 seed or more, got {seeds}; choose 3 or more")
    record = run.provenance.get("weights")
    if record is not None and record != weights_digest(model.net):
        raise ModelError(f"expected the weights that the run explains, got others in {model.name}; load the run's")
    folder = None if output is None else Path(output)
    store = None if folder is None else Store(folder / "store")
    with noted_losses() as noted:
        train, held = labelled_examples(
            model,
            run,
            data,
            test=test,
            remove=remove,
            keep=keep,
            limit=clips,
            damaged=damaged,
            store=store,
            progress=progress,
        )
    hashes = train.hashes()
    facts = {"run": record or run.network, "remove": list(remove), "keep": list(keep), "videos": hashes}
    target = run.target_index
    found = _networks(model, correction, name, train.examples, held.examples, target, seeds, folder, facts, progress)
    nets, outcomes, tests = found
    parameters: dict[str, Any] = {
        "correction": _plain(correction),
        "remove": [int(k) for k in remove],
        "keep": [int(k) for k in keep],
        "class": run.target,
        "layer": run.layer,
        "seeds": seeds,
        "training_clips": len(train.examples),
        "training_clips_with_concept": int(train.examples.present.sum()),
        "test_clips": len(held.examples),
        "test_clips_with_concept": int(held.examples.present.sum()),
        **{f"{kind}_reliance_tests": [r.record() for r in own] for kind, own in tests.items()},
    }
    provenance = {
        "voxplain": __version__,
        "python": platform.python_version(),
        "versions": {package: version(package) for package in ("torch", "numpy", "scikit-learn")},
        "device": str(model.device),
        "weights_before": weights_digest(model.net),
        "weights_after": weights_digest(nets[0].net),
        "training_videos": hashes,
        "test_videos": held.hashes(),
        **({"skipped_videos": dict(sorted(noted.skipped.items()))} if noted.skipped else {}),
        **({"damaged_videos": dict(noted.used())} if noted.used() else {}),
    }
    rows, gains = _measured(outcomes, held.examples, target)
    changes = clip_changes(model, nets[0], held.examples, held.clips, target)
    improved = Improved(nets[0], name, parameters, provenance, rows, gains, changes)
    return improved if folder is None else replace(improved, weights=improved.save(folder))


def chosen_correction(
    method: str | Correction | None, remove: Sequence[int], keep: Sequence[int]
) -> tuple[Correction, str]:
    """The correction of `improve` and its name. Raises DataError for an unknown one."""
    method = method if method is not None else ("concept_swap" if len(remove) else "keep_concepts")
    if not isinstance(method, str):
        return method, type(method).__name__
    if method not in CORRECTIONS:
        raise DataError(f"expected a correction of {sorted(CORRECTIONS)}, got {method!r}; choose one")
    return CORRECTIONS[method], method


def _plain(correction: Correction) -> dict[str, Any]:
    return {"class": type(correction).__name__, **asdict(correction)}  # type: ignore[call-overload]


def _networks(
    model: VideoModel,
    correction: Correction,
    name: str,
    train: Examples,
    held: Examples,
    target: int,
    seeds: int,
    folder: Path | None,
    facts: dict[str, Any],
    progress: ShowProgress,
) -> tuple[list[VideoModel], dict[str, list[Outcome]], dict[str, list[Reliance]]]:
    """The corrected networks by seed, the outcomes of all by kind, and the tests of what is to be removed by kind."""
    donors = train if not held.absent.any() else held
    without = removed(held.some(held.present), np.random.default_rng(0), donors=donors)
    original = measure(model, held, without, target)
    outcomes: dict[str, list[Outcome]] = {"original": [original] * seeds, "further": [], "random": [], "corrected": []}
    tests: dict[str, list[Reliance]] = {"random": [], "corrected": []} if train.unwanted.any() else {}
    further, nets = correction.uncorrected, []
    with progress(f"correcting by {name}", 3 * seeds) as advance:
        for seed in range(seeds):
            plain = model if further is None else _made(model, further, "further", train, seed, folder, facts)
            made = {"further": plain}
            advance()
            other = train.random_concept(np.random.default_rng(seed))
            for kind, examples in (("random", other), ("corrected", train)):
                if kind in tests:
                    tests[kind].append(reliance_on(model, examples, seed=seed))
                wanted = kind not in tests or tests[kind][-1].significant
                made[kind] = _made(model, correction, kind, examples, seed, folder, facts) if wanted else plain
                advance()
            for kind, net in made.items():
                outcomes[kind].append(measure(net, held, without, target))
            nets.append(made["corrected"])
    return nets, outcomes, tests


def _made(
    model: VideoModel,
    method: Correction,
    kind: str,
    examples: Examples,
    seed: int,
    folder: Path | None,
    facts: dict[str, Any],
) -> VideoModel:
    """The network that a correction makes, read back where it was made before."""
    if folder is None:
        return method(model, examples, seed=seed)
    import copy

    weights = weights_digest(model.net)
    name = key("correction", 1, method=_plain(method), kind=kind, seed=seed, weights=weights, facts=facts)
    done, partial = folder / "networks" / f"{name}.safetensors", folder / "networks" / f"{name}-part.safetensors"
    if done.exists():
        net = copy.deepcopy(model.net)
        load_weights(net, done)
        return replace(model, net=net)
    done.parent.mkdir(parents=True, exist_ok=True)
    made = method(model, examples, seed=seed, checkpoint=partial)
    save_weights(made.net, done, {"kind": kind})
    partial.unlink(missing_ok=True)
    return made


def _measured(
    outcomes: dict[str, list[Outcome]], held: Examples, target: int
) -> tuple[tuple[NetworkRow, ...], tuple[Gain, ...]]:
    """A row for each network, and the tests of the corrected one and of the random concept's."""
    present = held.present
    conflicting = contradicting(held, target)
    right = {kind: np.stack([o.right for o in found]) for kind, found in outcomes.items()}
    mean: Callable[[list[float]], float] = lambda values: float(np.mean(values))  # noqa: E731
    rows = tuple(
        NetworkRow(
            kind,
            float(r.mean()),
            mean([worst_group(one, held.labels, present) for one in r]),
            float(r[:, conflicting].mean()) if conflicting.any() else float("nan"),
            mean([o.reliance for o in outcomes[kind]]),
        )
        for kind, r in right.items()
    )
    pairs = [("corrected", other) for other in ("original", "further", "random")] + [("random", "further")]
    chosen = {"all": np.ones(len(held), np.bool_), "conflicting": conflicting}
    gains = tuple(
        compare((a, b), clips, right[a], right[b], which)
        for a, b in pairs
        for clips, which in chosen.items()
        if which.any()
    )
    return rows, gains
