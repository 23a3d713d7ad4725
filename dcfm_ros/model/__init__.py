"""The DCFM networks: backbones, fusion, heads, configuration and checkpoints. Imports neither ROS nor the pipeline."""
