"""Reads the digits of a picture. Imports no data set and no training."""
