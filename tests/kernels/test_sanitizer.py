"""The C++ files under the address and undefined-behaviour sanitizers, on shapes of every kind.

The same program runs by hand, for longer or with other sanitizers:

    g++ -std=c++17 -g -O1 -fsanitize=address,undefined -Wno-psabi -pthread \
        tests/kernels/sanitize.cpp -o /tmp/sanitize && /tmp/sanitize 1000
"""

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
COMPILER = shutil.which("g++") or shutil.which("clang++")


@pytest.mark.slow
@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")
@pytest.mark.parametrize(  # to compile and to run takes the least time so
    ("sanitizers", "optimisation"), [("address,undefined", "-O0"), ("thread", "-O1")]
)
def test_no_sanitizer_complains(sanitizers: str, optimisation: str, tmp_path: Path):
    program = tmp_path / "sanitize"
    options = ["-std=c++17", "-g1", optimisation, "-Wno-psabi", "-fno-sanitize-recover=all", "-pthread"]
    compiled = subprocess.run(
        [str(COMPILER), *options, f"-fsanitize={sanitizers}", str(HERE / "sanitize.cpp"), "-o", str(program)],
        capture_output=True,
        text=True,
    )
    if "cannot find" in compiled.stderr:
        pytest.skip("the compiler has no sanitizers")
    assert compiled.returncode == 0, compiled.stderr
    outcome = subprocess.run([str(program), "60"], capture_output=True, text=True, timeout=250)
    if "unexpected memory mapping" in outcome.stderr:
        pytest.skip("this kernel's address layout is too random for the thread sanitizer")
    assert outcome.returncode == 0, outcome.stderr[-3000:]
