# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""metadata.yaml of a recording: which files belong to it, and how many messages they should contain.
Everything else is in the files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from rosbags.interfaces import Qos

from dcfm_ros.bags.errors import BagError, read_errors_for
from dcfm_ros.bags.names import METADATA_FILE
from dcfm_ros.bags.topic import Key, full_type, known_digest, read_qos, read_serialization
from dcfm_ros.plain_files import PlainFileError, read_yaml

INFORMATION = "rosbag2_bagfile_information"


@dataclass(frozen=True)
class Metadata:
    """Content of metadata.yaml; message counts, type hashes and offered QoS by topic key."""

    files: tuple[str, ...]  # paths, in order; in version 1 they include the recording's folder
    storage: str  # identifier; "" if not given
    counts: dict[Key, int] = field(default_factory=dict)
    digests: dict[Key, str] = field(default_factory=dict)
    qos: dict[Key, tuple[Qos, ...]] = field(default_factory=dict)


def read_metadata(folder: Path) -> Metadata:
    """Read the metadata of a recording's folder, in any version of the format so far. Raises BagError,
    without the folder's name, if it is invalid."""
    try:
        information = load_metadata(folder / METADATA_FILE)
        metadata = Metadata(
            tuple(map(str, information["relative_file_paths"])),
            str(information.get("storage_identifier") or ""),
        )
        for topic in information["topics_with_message_count"]:
            its = topic["topic_metadata"]
            key = (its["name"], full_type(its["type"]), read_serialization(its.get("serialization_format")))
            metadata.counts[key] = metadata.counts.get(key, 0) + int(topic["message_count"])
            metadata.digests[key] = known_digest(its.get("type_description_hash"))
            metadata.qos[key] = read_qos(its.get("offered_qos_profiles"))
    except PlainFileError:
        raise BagError(f"{METADATA_FILE} is not valid YAML") from None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise BagError(f"{METADATA_FILE} is incomplete") from None
    return metadata


def load_metadata(path: Path) -> dict:
    """Return what is below the file's only key."""
    with read_errors_for(path):
        return read_yaml(path)[INFORMATION]
