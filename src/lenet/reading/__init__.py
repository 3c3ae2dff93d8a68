"""From any picture to a reading. Knows no data set and no training."""
