"""What other programs and people are told of runs and instances, by what was published and how the last run ended."""
