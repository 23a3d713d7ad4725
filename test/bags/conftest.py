"""All these tests run networks on tiny images."""
from helpers import one_thread  # noqa: F401
