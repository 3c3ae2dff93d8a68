"""Convolutions and dense layers in a fused C++ kernel, the adapter to torch, and PyTorch as the reference."""
