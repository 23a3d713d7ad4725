"""`dcfm benchmark`: per-frame networks and DCFM from image in to mask out, interleaved."""
