"""What the network is. May import `errors` and `files`."""
