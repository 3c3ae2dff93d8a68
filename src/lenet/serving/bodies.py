"""Receives the body of a request, within its limits of bytes and time. It stays in memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from sys import maxsize

import numpy as np
from fastapi import Request
from numpy.typing import NDArray
from pydantic_core import from_json
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from lenet.serving.limits import HeldBody, Limits, Refusal, finish_within

FIELD = "pictures"
FORM = "multipart/form-data"
JSON = "application/json"
BYTES = "application/octet-stream"
MAX_NAME = 255  # characters of a file's name
ReceivedPicture = tuple[str, bytes]


class _Form(MultiPartParser):
    """Starlette's parser of forms, without temporary files; it knows whether the form has an end."""

    spool_max_size = maxsize
    has_ended = False

    def on_end(self) -> None:
        self.has_ended = True


async def receive_pictures(request: Request, held: HeldBody, limits: Limits) -> list[ReceivedPicture]:
    """The pictures of a request, at least one, in order, each by its name and its bytes.

    Raises Refusal: 400 for a damaged form, 408 when the body takes too long, 413 when it is too large, 415
    for another type, 422 without a picture, 429 when the bodies of all requests are too large together.
    """
    kind = find_type(request)
    if kind.startswith("image/"):
        return [("picture", await receive_body(request, held, limits))]
    if kind != FORM:
        raise Refusal(415, f"send a form ({FORM}) with files in the field {FIELD}, or a body of type image/…")
    _check_length(request, held)
    async with _in_time(limits):
        pictures = await _parse_form(request, _count(request, held), limits)
    if not pictures:
        raise Refusal(422, f"the form has no picture; send files in the field {FIELD}")
    return pictures


async def receive_images(
    request: Request, held: HeldBody, limits: Limits, shape: tuple[int, int]
) -> NDArray[np.uint8]:
    """The images of a request, at least one: uint8 (N, 1, H, W), of `shape`.

    The body is JSON, {"images": [[[0, …], …], …]}, or the bytes of the pixels. Raises Refusal: 408, 413, 415,
    422 and 429, as `receive_pictures`.
    """
    kind = find_type(request)
    if kind == JSON:
        held.most = min(held.most, limits.json_bytes)
    elif kind != BYTES:
        raise Refusal(415, f"send images as {JSON} or as {BYTES}")
    body = await receive_body(request, held, limits)
    pixels = _parse_pixels(body, shape) if kind == JSON else body
    size = shape[0] * shape[1]
    if not pixels or len(pixels) % size:
        raise Refusal(
            422, f"the body has {len(pixels):,} pixels; send one or more images of {shape[0]} x {shape[1]}"
        )
    if len(pixels) > limits.images * size:
        raise Refusal(413, f"a request has at most {limits.images:,} images; send several requests")
    # A copy, because PyTorch takes no arrays that cannot be written to.
    return np.frombuffer(pixels, np.uint8).reshape(-1, 1, *shape).copy()


async def receive_body(request: Request, held: HeldBody, limits: Limits) -> bytes:
    """The bytes of a body. Raises Refusal 408, 413 and 429."""
    _check_length(request, held)
    async with _in_time(limits):
        return b"".join([chunk async for chunk in _count(request, held)])


def find_type(request: Request) -> str:
    """The media type of the body, without parameters; empty where the request has none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _check_length(request: Request, held: HeldBody) -> None:
    """Raise Refusal 413 before a body arrives whose header says that it is too large."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal():
        held.check(int(declared))


def _in_time(limits: Limits) -> AbstractAsyncContextManager[None]:
    message = f"the body did not arrive within {limits.receive_seconds:g} s"
    return finish_within(limits.receive_seconds, Refusal(408, message, {"Connection": "close"}))


async def _count(request: Request, held: HeldBody) -> AsyncGenerator[bytes, None]:
    async for chunk in request.stream():
        held.grow(len(chunk))
        yield chunk


def _parse_pixels(body: bytes, shape: tuple[int, int]) -> bytes:
    """The pixels of images as JSON, checked one by one. Raises Refusal 400 and 422."""
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Refusal(400, f"the body is no JSON: {error}") from None
    height, width = shape
    if not isinstance(value, dict) or value.keys() != {"images"}:
        raise Refusal(422, 'send {"images": [image, …]} and nothing else')
    rows = []
    images = value["images"]
    for image in images if isinstance(images, list) else [None]:
        if not isinstance(image, list) or len(image) != height:
            raise Refusal(422, f"an image is a list of {height} rows of {width} pixels")
        for row in image:
            if not isinstance(row, list) or len(row) != width:
                raise Refusal(422, f"an image is a list of {height} rows of {width} pixels")
            try:
                rows.append(bytes(row))
            except (TypeError, ValueError, OverflowError):
                raise Refusal(422, "a pixel is a whole number from 0 to 255") from None
    if b"true" in body or b"false" in body:  # which Python takes for 1 and 0
        raise Refusal(422, "a pixel is a whole number from 0 to 255")
    return b"".join(rows)


async def _parse_form(
    request: Request, chunks: AsyncGenerator[bytes, None], limits: Limits
) -> list[ReceivedPicture]:
    parser = _Form(request.headers, chunks, max_files=limits.pictures, max_fields=1)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise Refusal(400, f"the form is not accepted: {error.message.rstrip('.')}") from None
    except UnicodeError:  # the form names an encoding in which a name is no text
        raise Refusal(400, "the form is not accepted: a name in it is no text") from None
    try:
        if not parser.has_ended:
            raise Refusal(400, "the form is cut off before its end; send it again")
        pictures = []
        for field, value in form.multi_items():
            if field != FIELD or not isinstance(value, UploadFile):
                raise Refusal(
                    422, f"the form has {field[:80]!r}; send files in the field {FIELD} and nothing else"
                )
            name = (value.filename or "picture")[:MAX_NAME].encode(errors="replace").decode()
            pictures.append((name, value.file.read()))
        return pictures
    finally:
        await form.close()
