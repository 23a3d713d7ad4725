"""Where frames come from: recorded files, cameras and the procedural street video."""
