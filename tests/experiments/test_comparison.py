"""What a comparison says is what its figures bear out."""

import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import ttest_ind

from lenet.experiments.comparison import Comparison, Variant, differ
from lenet.experiments.figures import write_comparison

Shares = tuple[float, ...]


def make(*variants: Variant, seeds: int = 3) -> Comparison:
    return Comparison("pooling", "Which $pool^{?", "", "digits", 2, seeds, variants)


def variant(label: str, *shares: float, failures: tuple[str, ...] = ()) -> Variant:
    return Variant(label, {"pooling": label}, {"test": shares}, failures)


shares = st.lists(st.integers(0, 1000).map(lambda n: n / 1000), min_size=2, max_size=6).map(tuple)


@settings(max_examples=200, deadline=None)
@given(shares, shares, st.integers(1, 5))
def test_differences_are_those_of_welch(a: Shares, b: Shares, comparisons: int):
    if np.var(a) + np.var(b) < 1e-9:
        assert differ(a, b) == (abs(np.mean(a) - np.mean(b)) > 1e-12)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy minds where one of the two has no spread
        p = ttest_ind(a, b, equal_var=False).pvalue
    assert differ(a, b, comparisons) == (p < 0.05 / comparisons)
    assert differ(a, b, comparisons) == differ(b, a, comparisons)


def test_a_single_run_proves_nothing():
    assert not differ((0.1,), (0.9,))
    text = make(variant("avg", 0.5), variant("max", 0.9), seeds=1).conclusion
    assert text == "One run of each says nothing about the spread; take more seeds."


def test_no_difference_is_called_none():
    text = make(variant("avg", 0.80, 0.82, 0.84), variant("max", 0.81, 0.83, 0.85)).conclusion
    assert text == ("No difference beyond the spread: “avg” (82.00 ± 2.00 %) and “max” (83.00 ± 2.00 %).")


def test_better_worse_and_neither():
    text = make(
        variant("a", 0.80, 0.81, 0.82),
        variant("b", 0.90, 0.91, 0.92),
        variant("c", 0.70, 0.71, 0.72),
        variant("d", 0.80, 0.82, 0.84),
    ).conclusion
    assert text == (
        "“b” (91.00 ± 1.00 %) does better than “a” (81.00 ± 1.00 %); "
        "“c” (71.00 ± 1.00 %) does worse than “a”; "
        "no difference from “a” beyond the spread: “d” (82.00 ± 2.00 %)."
    )


def test_what_learnt_nothing_is_said_and_why():
    text = make(
        variant("0.1", 0.80, 0.81, 0.82), variant("0.9", 0.1, 0.1, 0.1, failures=("dead", "dead", "dead"))
    ).conclusion
    assert text.endswith("“0.9” learnt nothing in 3 of 3 runs: dead.")


def test_nothing_learnt_by_anybody_is_no_comparison():
    text = make(variant("avg", 0.1, 0.1, 0.1), variant("max", 0.1, 0.1, 0.1)).conclusion
    assert (
        text
        == "Nothing was learnt, so nothing is compared: “avg” (10.00 ± 0.00 %) and “max” (10.00 ± 0.00 %)."
    )
    assert "does better" in make(variant("avg", 0.1, 0.1, 0.11), variant("max", 0.8, 0.8, 0.81)).conclusion


def test_the_most_frequent_answers_are_said():
    answers = {"upright": (("1", 0.11), ("1", 0.12)), "inverted": (("8", 0.64), ("3", 0.2))}
    first = Variant("a", {}, {"upright": (0.98, 0.97), "inverted": (0.05, 0.04)}, answers=answers)
    comparison = make(first, replace(first, label="b", answers={}), seeds=2)
    text = comparison.conclusion
    assert text.endswith(
        "On digits inverted the most frequent answers of “a” are “8” (64.0 %), “3” (20.0 %)."
    )
    assert "“1”" not in text
    assert Comparison.from_dict(json.loads(json.dumps(comparison.to_dict()))) == comparison


def test_conditions_are_kept_apart():
    a = Variant("a", {}, {"upright": (0.8, 0.81), "rotated": (0.2, 0.21)})
    b = Variant("b", {}, {"upright": (0.8, 0.81), "rotated": (0.7, 0.71)})
    text = make(a, b, seeds=2).conclusion
    assert text.startswith("On digits upright: no difference beyond the spread")
    assert "On digits rotated: “b” (70.50 ± 0.71 %) does better" in text


def test_it_comes_back_from_json():
    comparison = make(variant("avg", 0.8, 0.9), variant("max", 0.1, 0.2, failures=("dead",)), seeds=2)
    values = json.loads(json.dumps(comparison.to_dict()))
    assert Comparison.from_dict(values) == comparison
    assert values["conclusion"] == comparison.conclusion
    assert values["variants"][0]["mean"]["test"] == pytest.approx(0.85)


def test_it_is_drawn_and_written_whole(tmp_path: Path):
    comparison = make(variant("avg", 0.8, 0.9, 0.85), variant("$max_{", 0.1, 0.2, 0.15))
    write_comparison(comparison, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pooling.json", "pooling.png"]
    with Image.open(tmp_path / "pooling.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert (np.ptp(pixels, axis=2) > 60).sum() > 50
    assert (pixels[:, [0, -1]] == 255).all()  # nothing is cut off
