"""Builds the fused kernel. Where there is no C++ compiler the package installs without it.

The library is plain C++ called through ctypes: no Python and no torch headers, so one build serves every
Python from 3.11 on. The instruction set is chosen when it runs, so one build serves every machine of a kind.
Everything else about the package stands in pyproject.toml.
"""

from pathlib import Path

from setuptools import Extension, setup

FOLDER = Path("src/lenet/kernels")

setup(
    ext_modules=[
        Extension(
            "lenet.kernels._kernel",
            sources=["src/lenet/kernels/kernel.cpp"],
            depends=sorted(str(path) for path in [*FOLDER.glob("*.h"), *FOLDER.glob("*.inc")]),
            language="c++",
            extra_compile_args=[
                "-std=c++17",
                "-O3",
                "-fvisibility=hidden",
                "-fno-math-errno",
                "-Wno-psabi",  # vectors are never passed between differently compiled functions
                "-pthread",
            ],
            extra_link_args=["-pthread"],
            optional=True,
            py_limited_api=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
