"""Metrics and the pictures that show a run; the masks themselves come from the pipeline."""
