"""The gallery: thumbnails with state, predicted class and outline; filter, search and sort; made for 10,000 images."""
