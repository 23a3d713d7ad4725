"""The page people look at after a recording was evaluated: figures, timeline, worst moments and video in one file."""
