"""How the network is used. May import `models`; knows no data set and no training."""
