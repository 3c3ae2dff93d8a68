"""Folders of pictures of any size, read into a results file."""
