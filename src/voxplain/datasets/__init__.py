"""Where labelled clips come from, one file a data set."""

from voxplain.datasets.folder import ClipSet, Skipped, VideoSet, read_clips, scan_folder
from voxplain.datasets.list_file import list_parts, read_list
from voxplain.datasets.named import DATASETS, DataSet, load_named

__all__ = [
    "DATASETS",
    "ClipSet",
    "DataSet",
    "Skipped",
    "VideoSet",
    "list_parts",
    "load_named",
    "read_clips",
    "read_list",
    "scan_folder",
]
