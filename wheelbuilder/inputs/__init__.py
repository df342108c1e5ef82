"""What is wanted: lists, pins, recipes, targets and the image table."""
