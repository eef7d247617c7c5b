"""Numbers and pictures: what the hub makes from weights that were found clean. Knows nothing of the scanner or of pages."""
