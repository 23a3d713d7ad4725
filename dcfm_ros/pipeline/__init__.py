"""The real-time pipeline: from frames to masks. Imports neither ROS nor a particular backend."""
