"""Chance is a pure function of its place."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from lenet.training.randomness import random_stream, sample_order, seeded_dropout

places = st.tuples(
    st.integers(0, 2**63), st.sampled_from(["order", "weights"]), st.integers(0, 99), st.integers(0, 99)
)


def draw(place: tuple[int, str, int, int]) -> list[float]:
    return torch.rand(4, generator=random_stream(*place)).tolist()


@given(one=places, other=places)
def test_streams_differ_exactly_where_their_places_do(
    one: tuple[int, str, int, int], other: tuple[int, str, int, int]
):
    assert (draw(one) == draw(other)) == (one == other)


@given(count=st.integers(1, 200), seed=st.integers(0, 2**40), epoch=st.integers(1, 50))
def test_an_order_holds_each_image_once(count: int, seed: int, epoch: int):
    order = sample_order(count, True, seed, epoch)
    assert sorted(order.tolist()) == list(range(count))
    assert torch.equal(order, sample_order(count, True, seed, epoch))
    assert sample_order(count, False, seed, epoch).tolist() == list(range(count))


def test_each_epoch_has_its_own_order():
    orders = {tuple(sample_order(50, True, 0, epoch).tolist()) for epoch in range(1, 20)}
    assert len(orders) == 19


def test_dropout_borrows_the_global_state_and_gives_it_back():
    device = torch.device("cpu")
    before = torch.random.get_rng_state()
    drawn = []
    for epoch, step in ((1, 1), (1, 2), (1, 1)):
        with seeded_dropout(0.5, 0, epoch, step, device):
            drawn.append(torch.nn.functional.dropout(torch.ones(100)))
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], drawn[1])
