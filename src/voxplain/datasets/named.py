"""`DATASETS`: the published data sets by name, with their description for the command line and the documents."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from voxplain.datasets.folder import VideoSet
from voxplain.datasets.hmdb51 import hmdb51, hmdb51_listing
from voxplain.datasets.jhmdb import jhmdb, jhmdb_listing
from voxplain.datasets.kinetics import kinetics, kinetics_listing
from voxplain.datasets.kth import kth, kth_listing
from voxplain.datasets.listing import Listing, check_fold
from voxplain.datasets.ucf101 import ucf101, ucf101_24, ucf101_24_listing, ucf101_listing
from voxplain.datasets.unrelated import unrelated, unrelated_listing
from voxplain.datasets.utd_mhad import utd_mhad, utd_mhad_listing
from voxplain.datasets.weizmann import weizmann, weizmann_listing
from voxplain.errors import DataError

__all__ = ["DATASETS", "DataSet", "load_named", "named"]


@dataclass(frozen=True)
class DataSet:
    """A published data set: how to read a folder of it, and where it comes from."""

    load: Callable[[Path, int], tuple[VideoSet, VideoSet | None]]  # (folder, split) to training and test videos
    listing: Callable[[Path], Listing]  # the videos of a complete copy, and those in a folder
    what: str
    split: str
    truth: str
    source: str
    licence: str
    folds: int = 1  # official splits


DATASETS: dict[str, DataSet] = {
    "kinetics": DataSet(
        lambda root, fold: kinetics(root),
        kinetics_listing,
        "400 to 700 actions, 10 s of web video each",
        "official: train, and val as the test",
        "none",
        "https://github.com/cvdfoundation/kinetic-dataset",
        "lists CC BY 4.0; each video its own",
    ),
    "kth": DataSet(
        lambda root, fold: kth(root),
        kth_listing,
        "6 actions, 25 persons: 2391 sequences of 599 videos",
        "official: 16 persons train, 9 test",
        "none",
        "https://www.csc.kth.se/cvap/actions/",
        "for research, see its page",
    ),
    "hmdb51": DataSet(
        lambda root, fold: hmdb51(root, fold=fold),
        hmdb51_listing,
        "51 actions, 6766 clips of films and the web",
        "official splits 1 to 3, 70 train and 30 test a class",
        "none",
        "https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database/",
        "CC BY 4.0",
        folds=3,
    ),
    "jhmdb": DataSet(
        lambda root, fold: jhmdb(root, fold=fold),
        jhmdb_listing,
        "21 actions of HMDB51, 928 clips",
        "official splits 1 to 3",
        "mask of the acting person, every frame",
        "http://jhmdb.is.tue.mpg.de",
        "for research, see its page",
        folds=3,
    ),
    "ucf101": DataSet(
        lambda root, fold: ucf101(root, fold=fold),
        ucf101_listing,
        "101 actions, 13320 web clips",
        "official splits 1 to 3, groups of clips kept together",
        "none",
        "https://www.crcv.ucf.edu/data/UCF101.php",
        "for research, see its page",
        folds=3,
    ),
    "ucf101_24": DataSet(
        lambda root, fold: ucf101_24(root, fold=fold),
        ucf101_24_listing,
        "24 actions of UCF101, 3194 clips",
        "official splits 1 to 3; papers use 1",
        "boxes around every actor",
        "https://github.com/gurkirt/corrected-UCF101-Annots (boxes)",
        "for research, see its page",
        folds=3,
    ),
    "utd_mhad": DataSet(
        lambda root, fold: utd_mhad(root),
        utd_mhad_listing,
        "27 actions, 8 subjects, 861 colour or depth clips",
        "official: odd subjects train, even test",
        "silhouettes, from depth",
        "https://personal.utdallas.edu/~kehtar/UTD-MHAD.html",
        "for research, see its page",
    ),
    "weizmann": DataSet(
        lambda root, fold: weizmann(root),
        weizmann_listing,
        "10 actions, 9 persons, 90 clips",
        "none official: ido, lena and moshe held out here",
        "none",
        "https://www.wisdom.weizmann.ac.il/~vision/SpaceTimeActions.html",
        "for research, see its page",
    ),
    "unrelated": DataSet(
        lambda root, fold: (unrelated(root), None),
        unrelated_listing,
        "any folder of videos, for the random sets",
        "none",
        "none",
        "the papers use hmdb51",
        "that of the videos",
    ),
}


def named(name: str) -> DataSet:
    """A data set by its name. DataError with the nearest one for a name that is not known."""
    if name not in DATASETS:
        near = difflib.get_close_matches(name, DATASETS, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else "`voxplain data` lists them"
        raise DataError(f"expected a data set of {', '.join(DATASETS)}, got {name!r}; {hint}")
    return DATASETS[name]


def load_named(name: str, root: Path, *, fold: int = 1) -> tuple[VideoSet, VideoSet | None]:
    """Training and test videos of a published data set.

    Parameters
    ----------
    name : str
        An entry of `DATASETS`.
    root : Path
        Folder of the data set as it was downloaded.
    fold : int
        Number of the official split, from 1.

    Returns
    -------
    train : VideoSet
    test : VideoSet or None
        None for a data set of unrelated videos.

    Raises
    ------
    DataError
        For an unknown name or fold, and for a folder that does not hold the data set.
    """
    chosen = named(name)
    check_fold(name, fold, chosen.folds)
    return chosen.load(root, fold)
