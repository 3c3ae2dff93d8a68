"""What the network learns from. Knows no model."""
