"""IDX: what is written is read again, and nothing but a sound file is."""

import contextlib
import gzip
import os
import struct
import tracemalloc
import zlib
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lenet.data.idx import decode_idx, encode_idx, read_idx, write_idx
from lenet.data.unpack import read_unpacked
from lenet.errors import DataError

# Three labels, byte by byte as the format's description has them.
GOLDEN = bytes([0, 0, 0x08, 1, 0, 0, 0, 3, 7, 0, 255])

shapes = st.lists(st.integers(0, 5), min_size=1, max_size=8)
tensors = st.builds(
    lambda shape, seed, dtype: torch.randint(
        0 if dtype is torch.uint8 else -(2**31),
        256 if dtype is torch.uint8 else 2**31 - 1,
        shape,
        generator=torch.Generator().manual_seed(seed),
        dtype=dtype,
    ),
    shapes,
    st.integers(0, 99),
    st.sampled_from([torch.uint8, torch.int32]),
)


def test_golden_bytes() -> None:
    assert decode_idx(GOLDEN, "golden").tolist() == [7, 0, 255]
    assert encode_idx(torch.tensor([7, 0, 255], dtype=torch.uint8)) == GOLDEN


def test_integers_are_big_endian() -> None:
    content = bytes([0, 0, 0x0C, 2]) + struct.pack(">2I", 1, 3) + struct.pack(">3i", 5, -2, 1 << 20)
    values = decode_idx(content, "labels")
    assert values.dtype == torch.int32
    assert values.tolist() == [[5, -2, 1 << 20]]


@given(tensors)
def test_round_trip(values: torch.Tensor) -> None:
    again = decode_idx(encode_idx(values), "round trip")
    assert again.dtype == values.dtype
    assert again.shape == values.shape
    assert torch.equal(again, values)


@pytest.mark.parametrize("name", ["images.gz", "images", "images.png"])
@pytest.mark.parametrize("packed", [True, False])
def test_first_bytes_decide_whether_it_is_packed(tmp_path: Path, name: str, packed: bool) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(GOLDEN) if packed else GOLDEN)
    assert read_idx(path).tolist() == [7, 0, 255]


def test_written_file_is_read(tmp_path: Path) -> None:
    values = torch.arange(24, dtype=torch.uint8).view(2, 3, 4)
    write_idx(tmp_path / "some" / "file", values)
    assert torch.equal(read_idx(tmp_path / "some" / "file"), values)


FAULTS = {
    "empty": b"",
    "short": b"\0\0\x08",
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(40),
    "floats": bytes([0, 0, 0x0D, 1, 0, 0, 0, 1]) + bytes(4),
    "no dimensions": bytes([0, 0, 8, 0, 1]),
    "255 dimensions": bytes([0, 0, 8, 255]) + bytes(2000),
    "ends in the header": bytes([0, 0, 8, 3, 0, 0, 0, 1]),
    "cut short": GOLDEN[:-1],
    "trailing byte": GOLDEN + b"\0",
    "sizes overflow": bytes([0, 0, 8, 3]) + b"\xff" * 12 + bytes(100),
    "zero times too much": bytes([0, 0, 8, 4]) + bytes(4) + b"\xff" * 12,
    "promises 4 GB": bytes([0, 0, 8, 1]) + b"\xff" * 4 + bytes(9),
    "packed, cut short": gzip.compress(GOLDEN)[:-5],
    "packed, wrong check": gzip.compress(GOLDEN)[:-8] + bytes(8),
    "packed, damaged": gzip.compress(os.urandom(5000))[:2000] + b"\xff" * 99,
    "packed, empty": b"\x1f\x8b",
    "packed, trailing byte": gzip.compress(GOLDEN + b"\0"),
    "packed, junk behind": gzip.compress(GOLDEN) + b"junk",
    "packed twice": gzip.compress(gzip.compress(GOLDEN)),
}


@pytest.mark.parametrize("content", FAULTS.values(), ids=FAULTS)
def test_each_fault_is_one_line_with_the_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "images"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_idx(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            read_idx(path)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_tensor_or_a_data_error(content: bytes) -> None:
    with contextlib.suppress(DataError):
        decode_idx(content, "fuzz")


@settings(max_examples=200)
@given(st.integers(0, 3), st.integers(0, 6), st.binary(max_size=64))
def test_any_bytes_behind_a_magic_number(rank: int, kind: int, rest: bytes) -> None:
    content = bytes([0, 0, 8 + kind, rank]) + rest
    try:
        values = decode_idx(content, "fuzz")
    except DataError:
        return
    assert encode_idx(values) == content


@settings(max_examples=300)
@given(st.data())
def test_flipped_bits_in_a_packed_file(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    values = torch.arange(200, dtype=torch.uint8)
    content = bytearray(gzip.compress(encode_idx(values), mtime=0))
    at = data.draw(st.integers(0, len(content) * 8 - 1))
    content[at // 8] ^= 1 << at % 8
    path = tmp_path_factory.mktemp("flip") / "labels.gz"
    path.write_bytes(content)
    try:
        again = read_idx(path)
    except DataError:
        return
    # gzip's check sum guards the values; only its own time stamp and the like may change unnoticed.
    assert torch.equal(again, values)


@pytest.mark.parametrize("promise", [1 << 10, 1 << 32])
def test_gzip_bomb_costs_bounded_memory(tmp_path: Path, promise: int) -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = packer.compress(bytes([0, 0, 8, 1]) + struct.pack(">I", promise - 1))
    for _ in range(64):
        bomb += packer.compress(bytes(1 << 20))
    bomb += packer.flush()
    assert len(bomb) < 1 << 17
    path = tmp_path / "bomb.gz"
    path.write_bytes(bomb)
    tracemalloc.start()
    try:
        with pytest.raises(DataError):
            read_idx(path)
        with pytest.raises(DataError):
            read_unpacked(path, 1 << 20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20


def test_a_small_file_does_not_unpack_to_gigabytes(tmp_path: Path) -> None:
    """What it promises is refused by its header: no byte of it is unpacked."""
    path = tmp_path / "blank.gz"
    with gzip.open(path, "wb", 1) as file:
        file.write(bytes([0, 0, 8, 1]) + struct.pack(">I", 150 << 20))
        for _ in range(16):
            file.write(bytes(1 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="too many for a file of"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_integers_need_no_second_copy(tmp_path: Path) -> None:
    values = torch.arange(1 << 20, dtype=torch.int32)
    write_idx(tmp_path / "labels", values)
    tracemalloc.start()
    try:
        again = read_idx(tmp_path / "labels")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert torch.equal(again, values)
    assert peak < 1.6 * values.nbytes  # a growing bytearray has some room to spare


@pytest.mark.parametrize("values", [torch.zeros(3), torch.tensor(1, dtype=torch.uint8)])
def test_other_tensors_are_not_written(values: torch.Tensor) -> None:
    with pytest.raises(DataError):
        encode_idx(values)
