"""Labelled clips of data sets for training and evaluation, behind one door: `open_clips`."""
from .clip import Clip, ClipSet
from .open import open_clips

__all__ = ["Clip", "ClipSet", "open_clips"]
