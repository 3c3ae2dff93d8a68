"""What the network sees: activations, attribution, diagnosis, reports."""
