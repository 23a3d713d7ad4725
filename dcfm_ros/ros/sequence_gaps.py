# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images that were published and never came to a subscription's callback, seen by the publisher's sequence numbers."""

from __future__ import annotations


class SequenceGaps:
    """For the executor's thread.

    Whatever has only one publisher has numbers that count up by one. Numbers do not say whose they are, so nothing is counted
    while there are several publishers, nor from a number that is not larger than the one before until the publishers have
    changed: a publisher that was started anew.
    """

    def __init__(self):
        self._missing: int | None = None
        self._last: int | None = None
        self._is_single = True

    @property
    def missing(self) -> int | None:
        """How many did not come so far; None while DDS gives no numbers, as Cyclone DDS does not."""
        return self._missing

    def publishers_are(self, count: int) -> None:
        """So many publishers fit the subscription from now on."""
        self._last, self._is_single = None, count <= 1

    def came(self, number: int | None) -> None:
        """A message with this publication_sequence_number."""
        if number is None:
            return
        self._missing = self._missing or 0
        if self._last is not None and number <= self._last:
            self._is_single = False
        if self._is_single:
            self._missing += number - self._last - 1 if self._last is not None else 0
        self._last = number
