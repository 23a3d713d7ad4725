"""Procedural street video with exact labels, a pure function of a seed."""
