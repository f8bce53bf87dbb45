"""Figures of corrections over cases, with intervals over cases and their clips: for `improve.py`."""

import numpy as np

from voxplain.statistics import sign_flip_test

__all__ = ["KINDS", "nested", "summary", "table"]

KINDS = ("original", "further", "random", "corrected")


def nested(parts: list[np.ndarray], rng: np.random.Generator, resamples: int = 2000) -> list[float]:
    """Mean over cases of the mean over clips, and its 95 % interval with cases and their clips drawn anew."""
    means = np.empty(resamples)
    for i in range(resamples):
        chosen = rng.integers(0, len(parts), len(parts))
        means[i] = np.mean([parts[c][rng.integers(0, len(parts[c]), len(parts[c]))].mean() for c in chosen])
    low, high = np.quantile(means, [0.025, 0.975])
    return [round(float(v), 2) for v in (np.mean([p.mean() for p in parts]), low, high)]


def gains(found: list[dict], a: str, b: str, rng: np.random.Generator) -> dict:
    """Points of network ``a`` over ``b`` on the clips that contradict the defect."""
    parts = [
        100.0 * np.subtract(f["figures"][a]["right"], f["figures"][b]["right"])[np.array(f["against"])] for f in found
    ]
    return {"points": nested(parts, rng), "p": round(sign_flip_test([p.mean() for p in parts], rng), 4)}


def over_cases(values: list[float], rng: np.random.Generator, digits: int = 3) -> list[float] | None:
    """Mean and 95 % bootstrap interval; None without values."""
    if not values:
        return None
    drawn = rng.choice(values, (2000, len(values))).mean(1)
    return [round(float(v), digits) for v in (np.mean(values), *np.quantile(drawn, [0.025, 0.975]))]


def gaps_closed(nets: list[dict], kind: str) -> list[float]:
    """Share of the gap of the original that a network closes, of the cases that have the network and a gap."""
    gaps = [(n["original"]["worst"], n["original"]["agreeing"] - n["original"]["worst"], n.get(kind)) for n in nets]
    return [(own["worst"] - worst) / gap for worst, gap, own in gaps if own is not None and gap > 0.1]


def summary(found: list[dict]) -> dict:
    """Figures of one method over some cases."""
    rng, nets = np.random.default_rng(0), [f["figures"] for f in found]
    before, after = [n["original"] for n in nets], [n["corrected"] for n in nets]
    closed = gaps_closed(nets, "corrected")
    return {
        "cases": len(found),
        "with_gap": len(closed),
        "gap_closed": over_cases(closed, rng),
        "gap_closed_unbiased": over_cases(gaps_closed(nets, "unbiased"), rng),
        "iid_loss": over_cases([100 * (a["iid"] - b["iid"]) for a, b in zip(before, after, strict=True)], rng, 2),
        "iid_loss_further": over_cases([100 * (n["original"]["iid"] - n["further"]["iid"]) for n in nets], rng, 2),
        "reliance_left": over_cases([b["reliance"] / a["reliance"] for a, b in zip(before, after, strict=True)], rng),
        "reliance_further": over_cases([n["further"]["reliance"] / n["original"]["reliance"] for n in nets], rng),
        "gain_over_further": gains(found, "corrected", "further", rng),
        "gain_over_random": gains(found, "corrected", "random", rng),
        "random_over_further": gains(found, "random", "further", rng),
        "forced_over_further": gains(found, "forced", "further", rng) if all("forced" in n for n in nets) else None,
    }


def table(found: dict[str, dict]) -> str:
    """A line for each case and method."""
    lines = [
        "case                     method               worst: original further random corrected   contradicting: "
        "original further random corrected   iid: original corrected   reliance left   clips found: recall precision"
    ]
    for case, methods in found.items():
        for name, f in methods.items():
            n, masks = f["figures"], f["masks"]
            left = n["corrected"]["reliance"] / n["original"]["reliance"]
            quality = f"{masks['clip_recall']:6.2f} {masks['clip_precision']:9.2f}" if masks else "     –         –"
            worst, against = ([100 * n[kind][figure] for kind in KINDS] for figure in ("worst", "contradicting"))
            iid = [100 * n[kind]["iid"] for kind in ("original", "corrected")]
            lines.append(
                f"{case:24s} {name:20s} {worst[0]:15.1f} {worst[1]:7.1f} {worst[2]:6.1f} {worst[3]:9.1f} "
                f"{against[0]:24.1f} {against[1]:7.1f} {against[2]:6.1f} {against[3]:9.1f} {iid[0]:15.1f} "
                f"{iid[1]:9.1f} {left:15.2f}   {quality:>30s}"
            )
    return "\n".join(lines)
