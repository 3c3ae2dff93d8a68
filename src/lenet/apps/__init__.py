"""Faces for people. May import every room above it."""
