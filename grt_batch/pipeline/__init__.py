"""One run: plan, reduce, merge, render, publish."""
