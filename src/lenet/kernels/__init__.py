"""The network's arithmetic in C++, and PyTorch's operators where it cannot run."""
