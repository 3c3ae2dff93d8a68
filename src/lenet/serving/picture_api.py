"""The addresses that take pictures: /v1/predict and /v1/corrections."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from starlette.requests import ClientDisconnect

from lenet.batch.pool import Row
from lenet.errors import PictureError
from lenet.reading.transcription import MAX_DIGITS, check_constraints
from lenet.serving.bodies import FIELD, FORM, ReceivedPicture, receive_pictures
from lenet.serving.corrections import Corrections, keep_correction
from lenet.serving.faults import BODY_FAULTS, describe_faults
from lenet.serving.limits import Refusal, answer_in_time
from lenet.serving.picture_rows import read_picture
from lenet.serving.schema import KeptFile, PictureRow, UnreadableRow
from lenet.serving.served import Served
from lenet.serving.service import Service

_FILE = {"type": "string", "format": "binary"}
_PICTURES = {  # FastAPI does not parse the body, so that it can be refused while it arrives
    "requestBody": {
        "required": True,
        "content": {
            FORM: {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {FIELD: {"type": "array", "items": _FILE, "description": "Files."}},
                }
            },
            "image/*": {"schema": _FILE},
        },
    }
}


def route_pictures(service: Service, corrections: Corrections | None) -> APIRouter:
    """The addresses that read pictures, and keep the ones that a person labelled."""
    router = APIRouter()
    limits, lane = service.limits, service.pictures

    @router.post(
        "/v1/predict",
        summary="Read pictures",
        description="One row a picture, in order, as `lenet predict --json` prints them.",
        responses={200: {"model": list[PictureRow | UnreadableRow]}, **BODY_FAULTS},
        openapi_extra=_PICTURES,
    )
    async def predict(
        request: Request,
        steps: Annotated[bool, Query(description="Add the steps of the reading; for one picture.")] = False,
        length: Annotated[
            int | None, Query(description=f"The number of digits, if known: 1 to {MAX_DIGITS}.")
        ] = None,
        pattern: Annotated[
            str | None, Query(description="The format of the number, # for each digit: #####-####.")
        ] = None,
        amount: Annotated[bool, Query(description="An amount of money: no leading zero.")] = False,
    ) -> Response:
        check_constraints(length, pattern, amount)
        lane.check()  # refuse before a body is received
        options = {"length": length, "pattern": pattern, "amount": amount}
        side = limits.step_side if steps else 0
        with service.bodies.hold() as held:
            pictures = await receive_pictures(request, held, limits)
            if steps and len(pictures) > 1:
                raise Refusal(422, "steps are shown for one picture; send one, or leave steps out")
            with lane.admit(len(pictures)):
                async with answer_in_time(limits):
                    rows = await _read(request, service.served, pictures, options, side)
        request.state.images = len(rows)
        service.metrics.count_readings(rows)
        return JSONResponse(rows)

    async def _read(
        request: Request, served: Served, pictures: list[ReceivedPicture], options: dict[str, Any], side: int
    ) -> list[Row]:
        """The rows of pictures, in order; at most as many are in work at a time as there are workers, so that
        requests take turns."""
        rows: dict[int, Row] = {}
        coming = iter(enumerate(pictures))

        async def read_on() -> None:
            for place, (name, content) in coming:
                if await request.is_disconnected():
                    raise ClientDisconnect
                try:
                    rows[place] = await lane.run(served, read_picture, name, content, options, side)
                except PictureError as error:  # of the lane
                    rows[place] = {"picture": name, "error": f"{name}: {error}"}

        readers = [asyncio.create_task(read_on()) for _ in range(min(lane.workers, len(pictures)))]
        try:
            await asyncio.gather(*readers)
        finally:
            for reader in readers:
                reader.cancel()
        return [rows[place] for place in range(len(pictures))]

    @router.post(
        "/v1/corrections",
        summary="Keep a picture with the label that a person gave it",
        description="Only where the server was started with `--keep FOLDER`.",
        status_code=201,
        responses={201: {"model": KeptFile}, **BODY_FAULTS, **describe_faults(404, 507)},
        openapi_extra=_PICTURES,
    )
    async def correct(
        request: Request, label: Annotated[str, Query(description="The name of a class.")]
    ) -> Response:
        if corrections is None:
            raise Refusal(404, "this server keeps no corrections; start it with --keep FOLDER")
        lane.check()
        with service.bodies.hold() as held:
            pictures = await receive_pictures(request, held, limits)
            if len(pictures) > 1:
                raise Refusal(422, "a label belongs to one picture; send one")
            with lane.admit():
                async with answer_in_time(limits):
                    file = await lane.run(service.served, keep_correction, corrections, *pictures[0], label)
        return JSONResponse({"file": file}, 201)

    return router
