"""The one kind of error that recordings raise."""


class BagError(ValueError):
    """A recording that cannot be opened, read or written; the message names it and the remedy."""
