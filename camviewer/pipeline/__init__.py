"""Whole jobs without Qt: explain a folder, export a project. The command line and the workers share them."""
