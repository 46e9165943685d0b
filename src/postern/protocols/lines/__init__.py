"""Line buffer shared by the line-based protocols."""
