"""Where labelled clips come from, one file a data set."""

from voxplain.datasets.folder import ClipSet, Skipped, VideoSet, read_clips, scan_folder

__all__ = ["ClipSet", "Skipped", "VideoSet", "read_clips", "scan_folder"]
