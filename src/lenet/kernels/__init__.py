"""The fused convolution blocks: one C++ file, the operator in front of it, and PyTorch as the reference."""
