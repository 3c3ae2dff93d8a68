"""What the network sees, drawn. May import every room above it."""
