"""Figures: statistics computed once, drawn by matplotlib or as SVG."""
