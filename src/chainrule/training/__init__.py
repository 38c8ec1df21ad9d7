"""Training: batches drawn from the seed, the loop over epochs, and what a run records and shows."""
