"""The pictures in the body of a request: files of a form, or the body itself. They stay in memory."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from sys import maxsize

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from lenet.serving.limits import HeldBody, Limits, Refusal

FIELD = "pictures"
FORM = "multipart/form-data"
MAX_NAME = 255  # characters of a file's name
NamedPicture = tuple[str, bytes]


class NamedBytes(BytesIO):
    """The bytes of a picture, and the name under which its row and its errors speak of it."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name


class _Form(MultiPartParser):
    """Starlette's parser of forms, without temporary files; it knows whether the form has an end."""

    spool_max_size = maxsize
    has_ended = False

    def on_end(self) -> None:
        self.has_ended = True


async def receive_pictures(request: Request, held: HeldBody, limits: Limits) -> list[NamedPicture]:
    """The pictures of a request, at least one, in order, each by its name and its bytes.

    Raises Refusal: 400 for a damaged form, 408 when the body takes too long, 413 when it is too large, 415
    for another type, 422 without a picture, 429 when the bodies of all requests are too large together.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM and not kind.startswith("image/"):
        raise Refusal(415, f"send a form ({FORM}) with files in the field {FIELD}, or a body of type image/…")
    if kind != FORM:
        return [("picture", await receive_body(request, held, limits))]
    async with _receive_in_time(request, held, limits) as chunks:
        pictures = await _parse_form(request, chunks, limits)
    if not pictures:
        raise Refusal(422, f"the form has no picture; send files in the field {FIELD}")
    return pictures


async def receive_body(request: Request, held: HeldBody, limits: Limits) -> bytes:
    """The body of a request. Raises Refusal: 408, 413 and 429 as `receive_pictures` does."""
    async with _receive_in_time(request, held, limits) as chunks:
        return b"".join([chunk async for chunk in chunks])


@asynccontextmanager
async def _receive_in_time(
    request: Request, held: HeldBody, limits: Limits
) -> AsyncIterator[AsyncGenerator[bytes, None]]:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal():
        held.check(int(declared))
    try:
        async with asyncio.timeout(limits.receive_seconds):
            yield _count(request, held)
    except TimeoutError:
        message = f"the body did not arrive within {limits.receive_seconds:g} s"
        raise Refusal(408, message, {"Connection": "close"}) from None


async def _count(request: Request, held: HeldBody) -> AsyncGenerator[bytes, None]:
    async for chunk in request.stream():
        held.grow(len(chunk))
        yield chunk


async def _parse_form(
    request: Request, chunks: AsyncGenerator[bytes, None], limits: Limits
) -> list[NamedPicture]:
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
