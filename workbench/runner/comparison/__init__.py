"""Compare two runs, or several candidates with one baseline, under a scorer."""
