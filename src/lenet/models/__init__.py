"""What the network is: configuration, pixels, layers, checkpoint."""
