"""Records of images, runs, maps, boxes, masks and reviews, and the SQLite store that keeps them."""
