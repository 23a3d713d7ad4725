"""Training: clips, augmentation, losses and the loop. Does not import ROS."""
