"""Checkpoints that others wrote, as model folders. One door: `dcfm_ros.model.importing.import_model`."""
