# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Entry point for all labelled data sets: `open_clips`."""

from __future__ import annotations

from pathlib import Path

from dcfm_ros.sources.clips import synthetic
from dcfm_ros.sources.clips.clip import ClipSet
from dcfm_ros.sources.clips.pairing import splits_in
from dcfm_ros.sources.data_sets import DATA_SETS, KINDS, SYNTHETIC, DataSet, layouts
from dcfm_ros.sources.errors import SourceError


def open_clips(source: str, split: str = "val", kind: str = "auto") -> ClipSet:
    """Open a split of a data set. Its folders are listed and missing files are reported; no file is read yet.

    source: `synthetic:SEED`, `synthetic:FIRST-LAST`, or the folder of a data set; a folder with the name
        synthetic is `./synthetic`
    split: name of the split; ignored by synthetic scenes and folders without splits
    kind: one of KINDS, such as camvid, or folder (the user's own, with classes.yaml); `auto` recognises it by
        the layout and raises an error if that is ambiguous
    """
    if kind not in KINDS:
        raise SourceError(f"kind is {kind}; give one of {', '.join(KINDS)}")
    scheme, _, seeds = str(source).partition(":")
    if scheme == SYNTHETIC and kind in ("auto", SYNTHETIC):
        return synthetic.open_synthetic(seeds, split)
    if kind == SYNTHETIC:
        raise SourceError(f"{source} names no synthetic scenes; give synthetic:SEED or synthetic:FIRST-LAST")
    if not split or Path(split).name != split:
        raise SourceError(f"split is {split!r}; give its name, such as train or val")
    root = Path(source)
    if not root.is_dir():
        raise SourceError(f"there is no folder {source}; give the folder of a data set or synthetic:SEED")
    data_set = _recognised(root) if kind == "auto" else DATA_SETS[kind]
    return data_set.open_split(root, split)


def _recognised(root: Path) -> DataSet:
    """Return the data set whose layout the folder has. Raises SourceError if none or several match."""
    found = [data_set for data_set in DATA_SETS.values() if data_set.recognises(root)]
    if len(found) == 1:
        return found[0]
    if found:
        kinds = " or ".join(data_set.kind for data_set in found)
        raise SourceError(f"{root} could be {kinds}; say which with kind")
    if splits_in(root) or (root / "images").is_dir():
        raise SourceError(
            f"{root} has images but no classes.yaml, so its labels could mean anything; "
            "write one as docs/datasets.md shows"
        )
    raise SourceError(f"{root} has no known layout; expected {layouts()}")
