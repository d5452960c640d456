"""Data sets of labelled pictures, conversion to a GAP or GMP head, and the training loop."""
