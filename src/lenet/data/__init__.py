"""What the network learns from. Knows no model; may import `errors` and `files`."""
