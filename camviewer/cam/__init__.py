"""Class activation maps: taps, methods as pure functions, and the explainer that shares passes between them."""
