"""A network for other programs: ONNX, C and HTML files, each with proof that the outputs agree."""
