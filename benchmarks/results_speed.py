"""Sections of the page of results: speed, exported networks, pictures in bulk, the page."""

from typing import Any

from lenet.models.config import LeNetConfig
from results_text import Say, show_share, write_head, write_row

WAITING = (
    "Threads wait for work as lenet sets them (GOMP_SPINCOUNT=1000). With torch's own setting, PyTorch alone "
    "is faster and the kernel is slower, so the ratio is smaller."
)


def show_speed(result: dict[str, Any], say: Say) -> str:
    message = say(
        "`{command}`: {images:,} images of Fashion-MNIST, recipe `{recipe}`. The script runs lenet's loop "
        "and the tutorials' loop alternately in one process, {count} pairs of runs. lenet's loop is "
        "**{ratio_median:.2f} times** as fast (median of the pairs' ratios; range {ratio_min:.2f} to "
        "{ratio_max:.2f}). Medians: {ours_median:,.0f} and {tutorials_median:,.0f} examples/s."
    )
    return message.format(**result, count=len(result["pairs"])) + "\n"


def count_operations(what: str) -> int:
    """Floating-point operations for one image, as the layers define them, in training or in inference."""
    config = LeNetConfig()
    first = next(layer.multiply_adds for layer in config.layers() if layer.name == "conv1")
    # The backward pass has two products for each of the forward pass; the pixels need no gradient.
    return 2 * (3 * config.multiply_adds - first if what.startswith("training") else config.multiply_adds)


def show_kernel(result: dict[str, Any], say: Say) -> str:
    threads = result["machine"]["threads"]
    spin = result.get("waiting_threads_spin", 1000)
    peak = result.get("peak_gflops_a_core")  # of fused multiply-adds, where the run measured it
    reference = say("the FMA peak") if peak else "sgemm"
    columns = ["what", "kernel, images/s", "PyTorch, images/s", "ratio"]
    columns += ["kernel, share of {reference}", "PyTorch, share of {reference}"]
    rows = write_head(say(column).format(reference=reference) for column in columns)
    alone, rates = [], []
    for name, value in result.items():
        what, _, network = name.partition(": ")
        if not network:
            continue
        sgemm = result[f"convolutions: {network}"]["sgemm_gflops_a_core"]
        if what == "convolutions":
            rate = value["blocks_gflops_a_core"]
            message = say("{network}: {rate:.0f} GFLOP/s a core, {share:.0%} of {reference}")
            values = {"rate": rate, "share": rate / (peak or sgemm), "reference": reference}
            alone.append(message.format(network=say(network), **values))
            rates.append(sgemm)
            continue
        images = 1 if "one image" in name else 1024 if "1,024" in name else 256
        speeds = [images / value["wall_seconds"][who] for who in ("fused", "eager")]
        shares = [speed * count_operations(what) / (1e9 * threads * (peak or sgemm)) for speed in speeds]
        title = say("{what}: {network}").format(what=say(what), network=say(network))
        cells = [title, *(f"{speed:,.0f}" for speed in speeds), f"**{value['wall_ratio']:.1f}**"]
        rows.append(write_row([*cells, *(f"{share:.0%}" for share in shares)]))
    command = f"`{'' if spin == 1000 else f'GOMP_SPINCOUNT={spin} '}python benchmarks/kernel.py`"
    head = say(
        "{command}: the fused kernel and PyTorch's own operators, alternately in one process, batch 256 "
        "unless the row names another."
    )
    waiting = say(WAITING if spin == 1000 else "Threads wait for work as PyTorch sets them by default.")
    about = [
        say(
            "sgemm is PyTorch's float32 matrix product (1024×1024), measured in the same run: {lowest:.0f} "
            "to {highest:.0f} GFLOP/s a core."
        ).format(lowest=min(rates), highest=max(rates)),
        say("The FMA peak was measured in the same run: {peak:.0f} GFLOP/s a core.").format(peak=peak)
        if peak
        else say("It is not the peak of the processor, which this result file does not contain."),
        say(
            "Operations are counted as the layers define them; in training with max-pooling the kernel skips "
            "products with gradients that are zero. Ratios and shares hold for the processor named below. "
            "Another processor gives other values."
        ),
    ]
    tail = say("The convolutions alone, {values}.").format(values=say("; ").join(alone))
    head = f"{head.format(command=command)} {waiting}\n"
    return "\n".join([head, *rows, "", " ".join(about), "", tail, ""])


def show_peers(result: dict[str, Any], say: Say) -> str:
    columns = ("what", "peer", "peer, images/s", "lenet, images/s", "ratio", "first call of the peer")
    rows = write_head(map(say, columns))
    for what, peers in result["images_per_second"].items():
        for peer, value in peers.items():
            speeds = (value["images_per_second"], value["ours_images_per_second"])
            cells = [say(what), say(peer), *(f"{speed:,.0f}" for speed in speeds)]
            cells += [f"**{value['ratio']:.2f}**", f"{value['first_call_seconds']:.1f} s"]
            rows.append(write_row(cells))
    latency = result["latency_of_one_image_microseconds"]
    times = say(", ").join(f"{say(name)} {value:.0f} µs" for name, value in latency.items())
    head = say(
        "`{command}`: the same network in every library, alternately with lenet in one process, batch "
        "{batch_size} unless the row names another. Inference of lenet is one call of the kernel, as in "
        "`lenet predict` and `lenet.evaluate`. A ratio above 1 means that lenet is faster."
    ).format(**result)
    ours, theirs = (result["megabytes_of_training"][name] for name in ("LeNet", "PlainLeNet"))
    batches = [
        say("batch {batch}: lenet {ours:.0f} MB, PyTorch eager {theirs:.0f} MB").format(
            batch=batch, ours=ours[batch], theirs=theirs[batch]
        )
        for batch in ours
    ]
    figure = say("Training speed of lenet and of PyTorch eager by batch size, number of channels and threads")
    product = say("PyTorch's float32 matrix product on all threads: {sgemm_gflops:.0f} GFLOP/s.")
    tail = [
        say("Latency of one image in Python: {times}.").format(times=times),
        say("Memory that training adds to the process: {memory}.").format(memory=say("; ").join(batches)),
        product.format(**result),
        f"![{figure}](growth.png)\n",
    ]
    return "\n".join([f"{head} {say(WAITING)}\n", *rows, "", "\n\n".join(tail)])


def show_sprint(result: dict[str, Any], say: Say) -> str:
    cold = say(", ").join(f"{seconds:.1f}" for seconds in result["seconds_cold"]) or say("not measured")
    accuracy = {"mean": result["accuracy_mean"], "standard_deviation": result["accuracy_standard_deviation"]}
    seeds = len(result["runs"])
    message = say(
        "`{command}`: {seeds} seeds, each a new process of `lenet train sprint`. Accuracy on MNIST's test "
        "images: **{accuracy}**. Time from the start of the process to its end: **{seconds_warm_median:.1f} "
        "s** (median, files in the system's cache; with empty caches {cold} s), of which "
        "{seconds_of_training_median:.1f} s are training."
    )
    return message.format(**result, seeds=seeds, accuracy=show_share(accuracy, seeds), cold=cold) + "\n"


def show_bulk(result: dict[str, Any], say: Say) -> str:
    message = say(
        "`{command}`: **{pictures_per_second:.0f} pictures/s** from the start of the process to its end; "
        "{pictures:,} rendered pictures, {workers} workers, {processor_milliseconds_a_picture:.0f} ms of "
        "processor time for one picture. The maximum memory of all processes together was "
        "{megabytes_first_quarter:,} MB in the first quarter of the time and {megabytes_last_quarter:,} MB "
        "in the last quarter. {compared_pictures} pictures were read one by one, by one worker, by all "
        "workers, and by a command that was killed {kills} times. The results have **{outcome}**."
    )
    outcome = say("the same bytes" if result["same_bytes"] else "different bytes")
    return message.format(**result, outcome=outcome) + "\n"


def show_page(result: dict[str, Any], say: Say) -> str:
    one, two = (result[f"milliseconds_pen_to_layers{name}"] for name in ("", "_of_two"))
    loads = result["milliseconds_to_first_reading"]
    differences = say(", ").join(
        f"`{name}` {value['largest_difference']:.1e}" for name, value in result["logits"].items()
    )
    message = say(
        "`{command}`, Chromium {chromium}: the page with {count} networks has {kilobytes:.0f} kB. It reads a "
        "drawing {load:.0f} ms after it is opened (median of {loads}). From a movement of the pen until all "
        "layers are drawn it takes {one[median]:.1f} ms (median; 95th percentile {one[percentile_95]:.1f}), "
        "with two networks {two[median]:.1f} ms ({two[percentile_95]:.1f}). The largest difference of a "
        "logit from PyTorch's, on 1,000 test images of MNIST: {differences}. The page carries weights with "
        "20 significant bits of 24."
    )
    text = message.format(
        command=result["command"],
        chromium=result["chromium"],
        count=len(result["networks"]),
        kilobytes=result["bytes"] / 1000,
        load=loads[len(loads) // 2],
        loads=len(loads),
        one=one,
        two=two,
        differences=differences,
    )
    return text + "\n"


def show_exports(result: dict[str, Any], say: Say) -> str:
    columns = ("network", "form", "test accuracy", "bytes")
    rows = write_head(map(say, (*columns, "largest difference of a logit", "ms for one image")))
    notes = []
    for name, value in result["checkpoints"].items():
        cells = [f"`{name}`", say("lenet, float"), f"{value['float_accuracy']:.2%}"]
        rows.append(write_row([*cells, f"{4 * value['parameters']:,}", "–", f"{value['milliseconds']:.3f}"]))
        for form, title in (("onnx", "ONNX, float"), ("onnx_int8", "ONNX, 8 bits"), ("c", "C, 8 bits")):
            part = value[form]
            cells = [f"`{name}`", say(title), f"**{part['accuracy']:.2%}**", f"{part['bytes']:,}"]
            cells += [f"{part['largest_difference']:.2g}", f"{part['milliseconds']:.3f}"]
            rows.append(write_row(cells))
        note = say(
            "`{weights}`: {same:,} of {images:,} images have the same scores in C and in numpy; buffers take "
            "{ram_bytes:,} bytes."
        )
        values = {"same": value["c"]["equal_to_numpy"], "ram_bytes": value["c"]["ram_bytes"]}
        notes.append(note.format(weights=name, images=result["images"], **values))
    head = say(
        "`{command}`: MNIST's {images:,} test images. Ranges are calibrated with {calibration_images:,} "
        "training images. Bytes are those of the file; for lenet, of the weights; for C, of the constants. "
        "Times are processor time of one image by itself, with one thread: lenet and onnxruntime called from "
        "Python, C compiled by `{compiled}` ({compiler})."
    ).format(**result)
    versions = say(", ").join(f"{name} {version}" for name, version in result["versions"].items())
    tail = say("Versions: {versions}.").format(versions=versions)
    return "\n".join([head + "\n", *rows, "", " ".join(notes), "", tail + "\n"])


def show_kills(result: dict[str, Any], say: Say) -> str:
    outcome = say("the same bits" if result["summary"]["bits_are_equal"] else "DIFFERENT BITS")
    message = say(
        "`{command}`: a training was killed with SIGKILL and resumed {kills} times. It ended with "
        "**{outcome}** as a training that was never killed. After the kills, "
        "{checkpoints_loaded_after_kills} checkpoints were found, and all of them loaded."
    )
    return message.format(**result["summary"], command=result["command"], outcome=outcome) + "\n"
