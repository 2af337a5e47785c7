"""Pure statistics: arrays in, frozen results out; no input or output, no hidden randomness.

`analysis.analyse_pair` is the default analysis of two runs; the other modules are its parts and
the methods around it, each with its source.
"""
