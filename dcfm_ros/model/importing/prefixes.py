# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finds the prefix that wrappers put before the names of a model's tensors, as in `model.module.`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from dcfm_ros.model.folder import some
from dcfm_ros.model.importing.checkpoint import Checkpoint, CheckpointError

NONE = "none"  # what to give as prefix for the names without one


def prefixes_of(names: Iterable[str], signs: Sequence[str]) -> set[str]:
    """Return what comes before the names that a format's tensors begin with; "" where they come first."""
    found = set()
    for name in names:
        places = [0 if name.startswith(sign) else name.find(f".{sign}") + 1 or -1 for sign in signs]
        if places := [place for place in places if place >= 0]:
            found.add(name[: min(places)])
    return found


def without_prefix(checkpoint: Checkpoint, signs: Sequence[str]) -> Checkpoint:
    """Return the checkpoint without the prefix before the names of a format's tensors, and without what has
    another one.

    Raises CheckpointError if there are several prefixes, each of a model of its own, or if other names look
    like parts of the model.
    """
    found = sorted(prefixes_of(checkpoint.tensors, signs))
    if len(found) > 1:
        raise several_models(checkpoint, found)
    if not found or not found[0]:
        return checkpoint
    stripped = at_prefix(checkpoint, found[0])
    parts = {name.split(".")[0] for name in stripped.tensors}
    if mixed := [name for name in stripped.left_out if name.split(".")[0] in parts]:
        raise CheckpointError(
            f"{checkpoint.path}: {len(stripped.tensors)} names begin with the prefix {found[0]!r}, but "
            f"{some(mixed)}, which may belong to the same model, without it; save the model's state_dict() "
            f"again, or give --prefix {found[0].rstrip('.')} if the others do not matter"
        )
    return stripped


def several_models(checkpoint: Checkpoint, prefixes: Sequence[str]) -> CheckpointError:
    """Return the error for a file with a model at each of several prefixes."""
    listed = some([repr(prefix) if prefix else "no prefix" for prefix in prefixes])
    options = [f"--prefix {prefix.rstrip('.') or NONE}" for prefix in prefixes]
    return CheckpointError(
        f"{checkpoint.path} holds {len(prefixes)} models, whose names begin with {listed}; say which one you "
        f"want (dcfm import {' or '.join(options[:5])}), or save its state_dict() by itself"
    )


def at_prefix(checkpoint: Checkpoint, prefix: str) -> Checkpoint:
    """Return the tensors whose names begin with a prefix, without it."""
    tensors = {
        name.removeprefix(prefix): tensor
        for name, tensor in checkpoint.tensors.items()
        if name.startswith(prefix) and name != prefix
    }
    left_out = tuple(
        name for name in checkpoint.tensors if not name.startswith(prefix) or (prefix and name == prefix)
    )
    return replace(checkpoint, tensors=tensors, prefix=prefix, left_out=left_out)


def at_given_prefix(checkpoint: Checkpoint, prefix: str) -> Checkpoint:
    """Return the tensors under a prefix that the user gives, with or without its last dot; all for NONE.
    Raises CheckpointError if there are no such names."""
    if prefix == NONE:
        return checkpoint
    stripped = at_prefix(checkpoint, prefix if prefix.endswith(".") else f"{prefix}.")
    if not stripped.tensors:
        begins = list(dict.fromkeys(f"{name.split('.')[0]}." for name in checkpoint.tensors))
        raise CheckpointError(
            f"{checkpoint.path}: no name begins with {stripped.prefix}; they begin with {some(begins)}"
        )
    return stripped


def without_others(checkpoint: Checkpoint, signs: Sequence[str]) -> Checkpoint:
    """Return the checkpoint without the other models of the format that have a prefix."""
    others = tuple(prefix for prefix in prefixes_of(checkpoint.tensors, signs) if prefix)
    kept = {name: tensor for name, tensor in checkpoint.tensors.items() if not name.startswith(others)}
    gone = tuple(checkpoint.prefix + name for name in checkpoint.tensors if name not in kept)
    return replace(checkpoint, tensors=kept, left_out=checkpoint.left_out + gone)


def around_names(checkpoint: Checkpoint, wanted: Sequence[str]) -> Checkpoint:
    """Return the checkpoint without the one prefix under which all the wanted names are; unchanged where
    there is none. Raises CheckpointError if there are several."""
    ends = [name.removesuffix(wanted[0]) for name in checkpoint.tensors if name.endswith(wanted[0])]
    found = [
        prefix
        for prefix in sorted(ends)
        if (not prefix or prefix.endswith("."))
        and all(prefix + name in checkpoint.tensors for name in wanted)
    ]
    if len(found) > 1:
        raise several_models(checkpoint, found)
    return at_prefix(checkpoint, found[0]) if found and found[0] else checkpoint


def told(checkpoints: Sequence[Checkpoint]) -> tuple[str, ...]:
    """Return what the user should know: which prefix is removed, and what is left out, a line each."""
    lines = [f"stripped the prefix {one.prefix!r}" for one in checkpoints if one.prefix]
    for one in checkpoints:
        counts: dict[str, int] = {}
        for name in one.left_out:
            first = name.split(".")[0]
            begin = f"{first}." if "." in name else first
            counts[begin] = counts.get(begin, 0) + 1
        listed = [f"{begin} ({count} tensor{'s' if count > 1 else ''})" for begin, count in counts.items()]
        if listed:
            lines.append(f"left out, as beside the model: {some(listed)}")
    return tuple(dict.fromkeys(lines))
