"""What the network learns from: data sets by name, custom data, downloads. Knows no network."""
