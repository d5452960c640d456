"""The comparison grid: several maps of one image on one zoom and under one cursor."""
