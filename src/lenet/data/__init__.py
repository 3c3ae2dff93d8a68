"""Data sets by name, custom data, downloads and corrupted copies. Imports no network and no training."""
