"""What the network is. May import `kernels`."""
