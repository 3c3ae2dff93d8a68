"""Studies and searches: many trainings, compared."""
