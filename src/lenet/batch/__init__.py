"""Bulk reading of folders of any size into a results file."""
