"""How far concepts depend on the clip: a concept that is one clip's surroundings is no thing that clips share.

Letters: M clips, N_i supervoxels of clip i, K concepts.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["clip_dependence"]


def clip_dependence(assigned: Sequence[NDArray[np.int64]]) -> float:
    """Adjusted mutual information of the concepts of supervoxels with the clips that these are of, in [0, 1].

    I(concept; clip) above what supervoxels shuffled among the clips have on average, as a share of what it can be at
    most above that. 0: every clip consists of the same concepts, or concepts and clips are independent. 1: the clip
    determines the concept. Features of layers whose receptive field is the whole picture can differ by clip more than
    by thing.

    Parameters
    ----------
    assigned : sequence of int64 [N_i]
        Of each clip, the concept of each of its supervoxels; −1 for none, which is left out.

    Returns
    -------
    float
        NaN where fewer than two clips or two concepts are there.

    References
    ----------
    Vinh, Epps and Bailey 2010, Information Theoretic Measures for Clusterings Comparison

    Examples
    --------
    >>> clip_dependence([np.array([0, 0, 0]), np.array([1, 1, 1])])
    1.0
    >>> clip_dependence([np.array([0, 1, 2]), np.array([0, 1, 2])])
    0.0
    """
    from sklearn.metrics import adjusted_mutual_info_score

    concepts = np.concatenate([*assigned, np.zeros(0, np.int64)])
    clips = np.repeat(np.arange(len(assigned)), [len(a) for a in assigned])[concepts >= 0]
    concepts = concepts[concepts >= 0]
    if len(np.unique(concepts)) < 2 or len(np.unique(clips)) < 2:
        return float("nan")
    # The mean of both entropies as the limit would keep fewer concepts than clips from 1.
    return float(np.clip(adjusted_mutual_info_score(clips, concepts, average_method="min"), 0, 1))
