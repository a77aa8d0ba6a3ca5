"""What can be counted and merged: measures, cubes and sketches."""
