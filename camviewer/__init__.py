"""camviewer turns an image classifier into segmentation labels, offline."""

__version__ = "0.1.0"
