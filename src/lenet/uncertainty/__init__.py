"""How far an answer can be relied on: temperature, thresholds, risk and coverage, from logits and labels."""
