"""Procedural dermoscopy-like pictures: skin, four kinds of lesion, and what lies on the lens."""
