"""What every part of the program rests on: configuration, errors, logs, timing, files."""
