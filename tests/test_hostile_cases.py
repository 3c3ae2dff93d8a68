"""How many hostile inputs the tests hold, by group; tests/fuzz adds at least 60 cases a group."""

from collections import Counter
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
CASES = {
    "test_bad_input.py::test_one_line_and_nothing_left": 160,
    "test_bad_input.py::test_the_real_command_does_the_same": 5,
    "test_bad_input.py::test_a_full_disk": 4,
    "test_streams.py::test_closed_streams": 3,
    "data/test_idx.py::test_each_fault_is_one_line_with_the_name": 19,
    "data/test_custom.py::test_mistakes_in_csv_files": 20,
    "data/test_custom.py::test_mistakes_in_folders": 8,
    "data/test_download.py::test_one_line_and_no_leftovers_when_every_mirror_fails": 12,
    "data/test_corrupted.py::test_wrong_arrays_are_refused": 10,
    "data/test_datasets.py::test_parts_that_do_not_fit": 9,
    "data/test_importing.py::test_faults_are_one_line": 6,
    "data/test_importing.py::test_an_archive_does_not_unpack_to_any_size": 6,
    "data/test_cache.py::test_wrong_content_is_refused_in_one_line": 5,
    "images/test_decoding.py::test_arrays_that_are_no_pictures": 11,
    "images/test_decoding.py::test_truncated_files_never_crash": 6,
    "images/test_decoding.py::test_bombs_of_every_format_are_refused": 6,
    "reading/test_bounds.py::test_specks": 3,
    "serving/test_api.py::test_bad_bodies_get_one_sentence": 18,
    "serving/test_classify.py::test_bad_bodies_get_one_sentence": 19,
    "uncertainty/test_rejection.py::test_a_damaged_curve_is_refused_in_one_line": 12,
}


@pytest.mark.parametrize("name", CASES)
def test_a_group_is_not_smaller(name: str, request: pytest.FixtureRequest) -> None:
    path = TESTS / name.split("::")[0]
    assert path.is_file()
    names = [item.nodeid.split("[")[0] for item in request.session.items if item.path == path]
    if not names:
        pytest.skip("that file is not among the tests of this session")
    assert Counter(f"{path.relative_to(TESTS)}::{one.split('::')[1]}" for one in names)[name] >= CASES[name]


def test_there_are_300_cases() -> None:
    assert sum(CASES.values()) >= 300
