"""Cold storage: raw archives that leave for a cheap and slow store, and come back."""
