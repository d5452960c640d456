"""Masks that learn: a small network trained on confident and on reviewed masks draws all the others."""
