"""Sections of the page of results: the server, and bulk reading on a cluster."""

from typing import Any

from results_text import Say, write_head, write_row


def show_serving(result: dict[str, Any], say: Say) -> str:
    head = say(
        "`{command}`: the load generators run on the same cores as the server. One batched request has 64 "
        "images. The load average before was {load_average_before}."
    ).format(**result)
    rows = write_head(map(say, ("what", "requests/s", "images/s", "median, ms", "99th percentile, ms")))
    for name, what in {
        "batched": "batches of images",
        "single": "one image a request",
        "single_json": "one image a request, as JSON",
    }.items():
        rows.append(write_row([say(what), *_show_speeds(result[name])]))
    rows.append(
        write_row([say("the same after the overload"), *_show_speeds(result["overload"]["afterwards"])])
    )
    refusals = [
        say("{what}: median {p50_ms:.0f} ms, 99th percentile {p99_ms:.0f} ms, {requests:,} requests").format(
            what=say(what), **result["overload"][what]["429"]
        )
        for what in ("images", "pictures")
    ]
    turns = result["beside_photographs"]["turns"]
    alone, beside = ([turn[who]["200"]["p99_ms"] for turn in turns] for who in ("alone", "beside"))
    memory, stopping = result["memory"], result["stopping"]
    tail = [
        say("At four times the load that it can compute, it refuses the rest with 429. {refusals}.").format(
            refusals=say("; ").join(refusals)
        ),
        say(
            "Images while ten photographs are in work: 99th percentile {beside} ms, without them {alone} ms, "
            "in turns. The workers of pictures have a lower priority."
        ).format(
            **{
                name: say(", ").join(f"{ms:.0f}" for ms in v)
                for name, v in (("alone", alone), ("beside", beside))
            }
        ),
        say(
            "Memory of all processes over {requests:,} requests: {lowest} to {highest} MB. SIGTERM while "
            "clients send: {answered:,} requests answered, {lost} lost."
        ).format(
            requests=memory["requests"],
            lowest=min(memory["megabytes"]),
            highest=max(memory["megabytes"]),
            answered=stopping["answered"],
            lost=len(stopping["lost"]),
        ),
    ]
    return "\n".join([f"{head}\n", *rows, "", "\n\n".join(tail), ""])


def _show_speeds(part: dict[str, Any]) -> list[str]:
    rates = [f"{part[name]:,.0f}" for name in ("requests_per_second", "images_per_second")]
    return [*rates, *(f"{part[name]:.0f}" for name in ("p50_ms", "p99_ms"))]


def show_cluster(result: dict[str, Any], say: Say) -> str:
    parts = []
    if pictures := result.get("pictures"):
        message = say(
            "`{command}`: {rows:,} pictures in storage that speaks S3 (moto, on the same machine). One "
            "machine without Ray reads {one_machine_pictures_per_second:.0f} pictures/s. On Ray, "
            "{workers_killed} workers were killed at random moments, and the command itself was killed "
            "and given again: {cluster_pictures_per_second:.0f} pictures/s, with all "
            "of that and the start of Ray."
        )
        outcome = "Every picture has one row, and the bytes of both are the same."
        if not (pictures["same_bytes"] and pictures["every_row_once"]):
            outcome = "The bytes of both are not the same."
        parts.append(f"{message.format(**pictures)} {say(outcome)}")
    if plane := result.get("control_plane"):
        message = say(
            "`{command}`: listing, manifests, tasks and parts of {rows:,} rows that nothing is read for: "
            "{rows_per_second:,.0f} rows/s. Memory of the command: {early} MB in the second quarter, {late} "
            "MB in the last one."
        )
        early, late = plane["driver_megabytes_second_quarter"], plane["driver_megabytes_last_quarter"]
        parts.append(message.format(**plane, early=early, late=late))
    if many := result.get("extrapolated"):
        message = say(
            "Extrapolated to {pictures:,} pictures, not measured: {control_plane_hours:.1f} hours for the "
            "control plane of one command, {reading_hours_on_100_cores:.0f} hours of reading on 100 cores."
        )
        parts.append(message.format(**many))
    return "\n\n".join(parts) + "\n"
