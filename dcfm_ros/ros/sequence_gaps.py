# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sequence gaps: images that were published but never reached the subscription's callback, detected by the
publisher's sequence numbers."""

from __future__ import annotations


class SequenceGaps:
    """Counts gaps in sequence numbers. For the executor's thread.

    The messages of a publisher are numbered consecutively. The numbers do not identify the publisher, so
    nothing is counted while there are several, nor after a number that is not larger than the previous one (a
    restarted publisher), until the set of publishers changes.
    """

    def __init__(self):
        self._overwritten: int | None = None
        self._last: int | None = None
        self._is_single = True

    @property
    def overwritten(self) -> int | None:
        """Number of messages that newer ones have overwritten in DDS's queue; None if DDS gives no numbers,
        such as Cyclone DDS."""
        return None if self._overwritten is None else max(0, self._overwritten)

    def set_publishers(self, count: int) -> None:
        """Set the number of publishers that match the subscription."""
        self._last, self._is_single = None, count <= 1

    def received(self, number: int | None) -> None:
        """Note a received message with this publication_sequence_number."""
        if number is None:
            return
        gap = 0 if self._last is None else number - self._last - 1
        self._is_single = self._is_single and gap >= 0
        self._overwritten = (self._overwritten or 0) + (gap if self._is_single else 0)
        self._last = number

    def lost(self, count: int) -> None:
        """Note messages that DDS reports as lost in transport: they are among the missing numbers."""
        if self._is_single and self._overwritten is not None:
            self._overwritten -= count
