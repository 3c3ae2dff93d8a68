"""How the network learns: recipes, the loop, evaluation, run folders."""
