# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recognises files that are not checkpoints: failed downloads, archives, models of other frameworks."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

# First bytes of files, and the message for each.
_UNPACK = "unpack it, and give the content"
_BEGINNINGS = (
    (
        rb"version https://git-lfs",
        "a pointer of Git LFS and not the file itself; run `git lfs pull` where it was cloned",
    ),
    (
        rb"(?i)(\xef\xbb\xbf)?\s*(<!doctype|<html|<head|<\?xml|<!--)",
        "a web page or XML; download the checkpoint itself",
    ),
    (rb"\s*\{\s*[\"}]", "JSON text; give the weights, or the folder that holds both"),
    (rb"\x89HDF\r\n", "an HDF5 file, as TensorFlow and Keras write them; give the model's PyTorch weights"),
    (rb"\x08[\x01-\x40](\x12|:|\x1a)", "an ONNX file; give the PyTorch checkpoint that it was exported from"),
    (rb"GGUF", "a GGUF file; give the PyTorch checkpoint that it was made from"),
    (rb"\x93NUMPY", "a NumPy array; give a state dict that torch.save or safetensors wrote"),
    (rb"\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|7z\xbc\xaf|Rar!", f"a compressed file; {_UNPACK}"),
)
_PICKLE = rb"PK|\x80[\x02-\x05]"  # in a zip as torch.save writes now, or bare as in old versions


def is_safetensors(path: Path) -> bool:
    """Return whether this is a safetensors file, by its first bytes, or by its name if those are unknown."""
    beginning = _first_bytes(path)
    return _begins_as_safetensors(beginning, path) or (
        path.suffix == ".safetensors" and not re.match(_PICKLE, beginning)
    )


def other_kind(path: Path) -> str:
    """Return what a file is instead of a PyTorch checkpoint, with the remedy, as in "an ONNX file; give ...";
    otherwise ""."""
    beginning = _first_bytes(path)
    if _begins_as_safetensors(beginning, path):
        return ""
    for pattern, kind in _BEGINNINGS:
        if re.match(pattern, beginning):
            return kind
    if beginning.startswith(b"PK"):
        return _kind_of_zip(path)
    return f"a tar archive; {_UNPACK}" if beginning[257:262] == b"ustar" else ""


def _begins_as_safetensors(beginning: bytes, path: Path) -> bool:
    """Check for the length of the JSON header that follows; its bytes may coincide with other file types'
    first bytes."""
    return beginning[8:9] == b"{" and int.from_bytes(beginning[:8], "little") < path.stat().st_size


def _kind_of_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            inside = {name.partition("/")[2] or name for name in archive.namelist()}
            if "data.pkl" in inside and sum(e.file_size for e in archive.infolist()) > path.stat().st_size:
                return (
                    "no file of torch.save, as it is compressed or its parts overlap; save the weights again"
                )
            # torch.load does not verify checksums
            damaged = archive.testzip() if "data.pkl" in inside else None
    except Exception:  # damaged tables make zipfile raise anything
        return ""  # cut, as the reader will say
    if damaged:
        return f"damaged, as the checksum of {damaged} in it tells; copy or download it again"
    if "constants.pkl" in inside or "archive_format" in inside:
        return (
            "a program of TorchScript or torch.export, and loading it could run code that came with the "
            "file; only plain tensors are read. Save the state_dict() of the model that it was made of"
        )
    if all(name.endswith(".npy") for name in inside):
        return "an archive of NumPy arrays; give a state dict that torch.save or safetensors wrote"
    return "" if "data.pkl" in inside else f"a zip archive; {_UNPACK}"


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(512)
