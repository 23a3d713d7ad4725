# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images that were published and never came to a subscription's callback, seen by the publisher's sequence
numbers."""

from __future__ import annotations


class SequenceGaps:
    """For the executor's thread.

    Messages of one publisher have numbers that count up by one. Numbers do not say whose they are, so nothing
    is counted while there are several publishers, nor from a number that is not larger than the one before,
    as of a publisher that was started anew, until the publishers have changed.
    """

    def __init__(self):
        self._overwritten: int | None = None
        self._last: int | None = None
        self._is_single = True

    @property
    def overwritten(self) -> int | None:
        """Messages that newer ones overwrote in DDS's queue, so far; None while DDS gives no numbers, as
        Cyclone DDS does not."""
        return None if self._overwritten is None else max(0, self._overwritten)

    def publishers_are(self, count: int) -> None:
        """So many publishers fit the subscription from now on."""
        self._last, self._is_single = None, count <= 1

    def came(self, number: int | None) -> None:
        """A message with this publication_sequence_number."""
        if number is None:
            return
        gap = 0 if self._last is None else number - self._last - 1
        self._is_single = self._is_single and gap >= 0
        self._overwritten = (self._overwritten or 0) + (gap if self._is_single else 0)
        self._last = number

    def lost(self, count: int) -> None:
        """DDS has lost so many on the way, which are no others than those that are missing."""
        if self._is_single and self._overwritten is not None:
            self._overwritten -= count
