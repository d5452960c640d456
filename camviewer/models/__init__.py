"""Networks: architectures, safe checkpoint loading, preprocessing, layers and heads."""
