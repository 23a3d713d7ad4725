"""ROS 2 nodes, parameters, messages, diagnostics."""
