"""Generate: the cells that are open, asked with bounded concurrency."""
