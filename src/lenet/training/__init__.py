"""How the network learns. May import `models` and `data`."""
