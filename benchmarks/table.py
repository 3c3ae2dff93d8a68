"""Write docs/results.md and the table of the README from the results of the other scripts here.

    python benchmarks/table.py

Every number comes from a file in benchmarks/results/; none is typed by hand.
"""

import json
from pathlib import Path
from typing import Any

from lenet.models.config import LeNetConfig
from lenet.training.recipes import RECIPES

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "results.md"

SPACE = "\N{NO-BREAK SPACE}"  # in a narrow column, mean and deviation stay on one line

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- results -->", "<!-- /results -->"
UNKNOWN = "not recorded"

WAITING = (
    "Threads wait for work as lenet sets them (GOMP_SPINCOUNT=1000). With torch's own setting, PyTorch alone "
    "is faster and the kernel is slower, so the ratio is smaller."
)

HEAD = """# Results

The command of each section measured its values. `benchmarks/results/` holds the files that the commands
wrote: every seed, the values of every epoch, the machine and the versions. `python benchmarks/table.py`
generates this page from those files.

± is the standard deviation over the seeds. "Not recorded" means that the result file does not contain the
value.
"""

ACCURACY = """Test accuracy is the share of the data set's official 10,000 test images that the network
classifies correctly. The network is that of the last epoch. Where a recipe holds images out of training
(`lenet5-tanh`, `reader`), it is the network of the epoch with the best accuracy on those images. Test images
select no epoch.

The value of `reader` may be slightly too high. The accuracy of each candidate on the test images was known
when the shipped weights of `reader` were selected.
[The explanation](explanation.md#how-the-weights-of-reader-were-selected) gives the details.

The column "printed by the source" gives what the recipe's source printed. The sources of `d2l-relu` and
`classic-sigmoid` print no value. The `lab3` row compares two different measurements. The source continued
from earlier epochs and evaluated its checkpoint 5. Our run starts from initial weights, trains for the number
of epochs in the table, and evaluates the last epoch. The source of `lenet5-tanh` validated on the test set.
Our run holds 5,000 training images out for validation and evaluates the test images once.
"""


def main() -> None:
    results = {file.stem: json.loads(file.read_text()) for file in sorted(RESULTS.glob("*.json"))}
    accuracy = [result for result in results.values() if result.get("what") == "accuracy"]
    accuracy.sort(key=lambda result: list(RECIPES).index(result["recipe"]["name"]))
    parts = [HEAD, "## Accuracy\n", ACCURACY, show_accuracy(accuracy), show_machines(accuracy)]
    for name, (title, show) in SECTIONS.items():
        if name in results:
            parts += [f"## {title}\n", show(results[name]), show_machine(results[name]["machine"])]
    PAGE.write_text("\n".join(parts), "utf-8")
    before, mark, rest = README.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    README.write_text(f"{before}{mark}\n{show_short(accuracy)}{end}{after}", "utf-8")
    print(PAGE, README)


def name_processor(machine: dict[str, Any]) -> str:
    """The processor's name, family and model; older files have the name alone."""
    processor = str(machine["processor"])
    return processor if ", family " in processor else f"{processor}, family and model {UNKNOWN}"


def show_machine(machine: dict[str, Any]) -> str:
    """What a section was measured on, in one line."""
    return (
        f"Machine: {name_processor(machine)}; cores: {machine['cores']}; threads: {machine['threads']}; "
        f"kernel: {machine.get('blocks') or UNKNOWN}; {machine['system']}, Python {machine['python']}, "
        f"torch {machine['torch']}; commit: {machine.get('commit') or UNKNOWN}.\n"
    )


def show_machines(results: list[dict[str, Any]]) -> str:
    """The machines of several results, each with its recipes."""
    recipes: dict[str, list[str]] = {}
    for result in results:
        recipes.setdefault(show_machine(result["machine"]), []).append(f"`{result['recipe']['name']}`")
    return "".join(f"- {', '.join(names)}. {machine}" for machine, names in recipes.items())


def show_accuracy(results: list[dict[str, Any]]) -> str:
    rows = [
        "| recipe | data | seeds | epochs | test accuracy | printed by the source | training loss "
        "| training accuracy |"
    ]
    rows.append("|" + "---|" * 8)
    notes = []
    for result in results:
        recipe, summary = result["recipe"], result["summary"]
        seeds, loss = len(result["seeds"]), summary["train_loss"]
        cells = [
            recipe["name"],
            recipe["data"],
            str(seeds),
            str(recipe["epochs"]),
            f"**{show_share(summary['test_accuracy'], seeds)}**",
            show_published(recipe["published"]),
            show_mean(loss["mean"], loss["standard_deviation"], 3, seeds),
            show_share(summary["train_accuracy"], seeds),
        ]
        rows.append("| " + " | ".join(cells) + " |")
        also = [
            f" Also printed ({name.replace('_', ' ')}): {value}."
            for name, value in recipe["published"].items()
            if isinstance(value, str)
        ]
        notes.append(f"- `{recipe['name']}`: `{result['command']}`.{''.join(also)}")
    return "\n".join([*rows, "", "The commands:", "", *notes]) + "\n\nThe machines:\n"


def show_short(results: list[dict[str, Any]]) -> str:
    """The table of the README, and the machines behind it."""
    rows = [
        "| `lenet train …` | data | test accuracy | seeds | printed by the source |",
        "|---|---|---|---|---|",
    ]
    machines: dict[str, list[str]] = {}
    for result in results:
        recipe, seeds = result["recipe"], len(result["seeds"])
        accuracy = show_share(result["summary"]["test_accuracy"], seeds)
        published = show_published(recipe["published"])
        name = recipe["name"] + f" --epochs {recipe['epochs']}" * ("--epochs" in result["command"])
        rows.append(f"| `{name}` | {recipe['data']} | {accuracy} | {seeds} | {published} |")
        machine = result["machine"]
        described = f"{name_processor(machine)}; commit: {machine.get('commit') or UNKNOWN}."
        machines.setdefault(described, []).append(f"`{recipe['name']}`")
    if len(machines) == 1:
        return "\n".join([*rows, "", f"Processor: {next(iter(machines))}"]) + "\n"
    lines = [f"Processor of {', '.join(names)}: {machine}" for machine, names in machines.items()]
    return "\n".join([*rows, "", "<br>\n".join(lines)]) + "\n"


def show_share(value: dict[str, float], seeds: int) -> str:
    return show_mean(100 * value["mean"], 100 * value["standard_deviation"], 2, seeds) + f"{SPACE}%"


def show_mean(mean: float, deviation: float, digits: int, seeds: int) -> str:
    """Mean and standard deviation; a single run has none."""
    return f"{mean:.{digits}f}" + f"{SPACE}±{SPACE}{deviation:.{digits}f}" * (seeds > 1)


def show_published(published: dict[str, Any]) -> str:
    words = {"train_loss": "loss {:.4g}", "train_accuracy": "train {:.2%}", "test_accuracy": "test {:.2%}"}
    words |= {"validation_accuracy": "validation {:.2%}"}
    parts = [words[name].format(value) for name, value in published.items() if name in words]
    return "; ".join(parts) or "–"


def show_speed(result: dict[str, Any]) -> str:
    return (
        f"`{result['command']}`: {result['images']:,} images of Fashion-MNIST, recipe `{result['recipe']}`. "
        f"The script runs lenet's loop and the tutorials' loop alternately in one process, "
        f"{len(result['pairs'])} pairs of runs. "
        f"lenet's loop is **{result['ratio_median']:.2f} times** as fast (median of the pairs' ratios; range "
        f"{result['ratio_min']:.2f} to {result['ratio_max']:.2f}). Medians: {result['ours_median']:,.0f} and "
        f"{result['tutorials_median']:,.0f} examples/s.\n"
    )


def count_operations(what: str) -> int:
    """Floating-point operations for one image, as the layers define them, in training or in inference."""
    config = LeNetConfig()
    first = next(layer.multiply_adds for layer in config.layers() if layer.name == "conv1")
    # The backward pass has two products for each of the forward pass; the pixels need no gradient.
    return 2 * (3 * config.multiply_adds - first if what.startswith("training") else config.multiply_adds)


def show_kernel(result: dict[str, Any]) -> str:
    threads = result["machine"]["threads"]
    spin = result.get("waiting_threads_spin", 1000)
    peak = result.get("peak_gflops_a_core")  # of fused multiply-adds, where the run measured it
    reference = "the FMA peak" if peak else "sgemm"
    rows = [
        "| what | kernel, images/s | PyTorch, images/s | ratio "
        f"| kernel, share of {reference} | PyTorch, share of {reference} |"
    ]
    rows.append("|" + "---|" * 6)
    alone, rates = [], []
    for name, value in result.items():
        what, _, network = name.partition(": ")
        if not network:
            continue
        sgemm = result[f"convolutions: {network}"]["sgemm_gflops_a_core"]
        if what == "convolutions":
            rate = value["blocks_gflops_a_core"]
            alone.append(f"{network}: {rate:.0f} GFLOP/s a core, {rate / (peak or sgemm):.0%} of {reference}")
            rates.append(sgemm)
            continue
        images = 1 if "one image" in name else 1024 if "1,024" in name else 256
        speeds = [images / value["wall_seconds"][who] for who in ("fused", "eager")]
        shares = [speed * count_operations(what) / (1e9 * threads * (peak or sgemm)) for speed in speeds]
        cells = [name, *(f"{speed:,.0f}" for speed in speeds), f"**{value['wall_ratio']:.1f}**"]
        rows.append("| " + " | ".join([*cells, *(f"{share:.0%}" for share in shares)]) + " |")
    head = (
        f"`{'' if spin == 1000 else f'GOMP_SPINCOUNT={spin} '}python benchmarks/kernel.py`: the fused kernel "
        "and PyTorch's own operators, alternately in one process, batch 256 unless the row names another. "
        f"{WAITING if spin == 1000 else 'Threads wait for work as PyTorch sets them by default.'}\n"
    )
    about = (
        "sgemm is PyTorch's float32 matrix product (1024×1024), measured in the same run: "
        f"{min(rates):.0f} to {max(rates):.0f} GFLOP/s a core. "
        + (
            f"The FMA peak was measured in the same run: {peak:.0f} GFLOP/s a core. "
            if peak
            else "It is not the peak of the processor, which this result file does not contain. "
        )
        + "Operations are counted as the layers define them; in training with max-pooling the kernel skips "
        "products with gradients that are zero. Ratios and shares hold for the processor named "
        "below. Another processor gives other values."
    )
    return "\n".join([head, *rows, "", about, "", f"The convolutions alone, {'; '.join(alone)}.", ""])


def show_peers(result: dict[str, Any]) -> str:
    rows = [
        "| what | peer | peer, images/s | lenet, images/s | ratio | first call of the peer |",
        "|---|---|---|---|---|---|",
    ]
    for what, peers in result["images_per_second"].items():
        for peer, value in peers.items():
            speeds = (value["images_per_second"], value["ours_images_per_second"])
            cells = [what, peer, *(f"{speed:,.0f}" for speed in speeds), f"**{value['ratio']:.2f}**"]
            rows.append("| " + " | ".join([*cells, f"{value['first_call_seconds']:.1f} s"]) + " |")
    latency = result["latency_of_one_image_microseconds"]
    times = ", ".join(f"{name} {value:.0f} µs" for name, value in latency.items())
    head = (
        f"`{result['command']}`: the same network in every library, alternately with lenet in one process, "
        f"batch {result['batch_size']} unless the row names another. A ratio above 1 means that lenet is "
        f"faster. {WAITING}\n"
    )
    ours, theirs = (result["megabytes_of_training"][name] for name in ("LeNet", "PlainLeNet"))
    memory = "; ".join(
        f"batch {batch}: lenet {ours[batch]:.0f} MB, PyTorch eager {theirs[batch]:.0f} MB" for batch in ours
    )
    tail = (
        f"Latency of one image in Python: {times}.\n\nMemory that training adds to the process: {memory}.\n\n"
        f"PyTorch's float32 matrix product on all threads: {result['sgemm_gflops']:.0f} GFLOP/s.\n\n"
        "![Training speed of lenet and of PyTorch eager by batch size, number of channels and threads]"
        "(growth.png)\n"
    )
    return "\n".join([head, *rows, "", tail])


def show_sprint(result: dict[str, Any]) -> str:
    cold = ", ".join(f"{seconds:.1f}" for seconds in result["seconds_cold"]) or "not measured"
    accuracy = {"mean": result["accuracy_mean"], "standard_deviation": result["accuracy_standard_deviation"]}
    return (
        f"`{result['command']}`: {len(result['runs'])} seeds, each a new process of `lenet train sprint`. "
        f"Accuracy on MNIST's test images: **{show_share(accuracy, len(result['runs']))}**. Time from the "
        f"start of the process to its end: **{result['seconds_warm_median']:.1f} s** (median, files in the "
        f"system's cache; with empty caches {cold} s), of which "
        f"{result['seconds_of_training_median']:.1f} s are training.\n"
    )


def show_rejection(result: dict[str, Any]) -> str:
    head = (
        f"`{result['command']}`: the columns 1 %, 0.5 % and 0.1 % give the share of MNIST's test digits that "
        "has to be rejected so that at most this share of the accepted digits is wrong. The last column "
        "gives the share of negatives (seven kinds of pictures without a digit) that is rejected at the "
        "threshold that rejects 1 % of the digits. *Readings* are of the same digits as pictures, named by "
        "`line` and `reader` together."
    )
    rows = ["| weights | accuracy | 1 % | 0.5 % | 0.1 % | expected calibration error | negatives rejected |"]
    rows.append("|" + "---|" * 7)
    for name, value in result["checkpoints"].items():
        rates = [f"{100 * rate['rejected']:.2f} %" for rate in value["reject_rates"]]
        cells = [f"`{name}`", f"{100 * value['accuracy']:.2f} %", *rates]
        cells.append(f"{100 * value['calibration_error']:.2f} %")
        cells.append(f"**{100 * value['not_digits_rejected_mean']:.1f} %**")
        rows.append("| " + " | ".join(cells) + " |")
    readings = result["readings"]
    rates = [f"{100 * rate['rejected']:.2f} %" for rate in readings["reject_rates"]]
    rows.append(f"| readings | {100 * readings['accuracy']:.2f} % | {' | '.join(rates)} | – | – |")
    single = [
        describe_outcome(f"`{name}`", promise)
        for name, value in result["checkpoints"].items()
        for promise in value["promises"]
        if "error" in promise
    ]
    whole = [describe_outcome("readings", promise) for promise in readings["promises"]]
    promises = (
        "Thresholds for single images, from digits held out of training, had this outcome on test digits: "
        f"{'; '.join(single)}. Thresholds for readings, from composed pictures: {'; '.join(whole)}."
    )
    again = [again for value in result["checkpoints"].values() for again in value["promises_drawn_again"]]
    worst = max(again, key=lambda row: row["broken"] / max(row["given"], 1))
    luck = (
        f"Thresholds were also computed {worst['times']:,} times from {worst['digits']:,} digits drawn from "
        f"the test digits. The promised error rate was exceeded in at most "
        f"{100 * worst['broken'] / max(worst['given'], 1):.1f} % of the cases."
    )
    return "\n".join([head, "", *rows, "", promises, "", luck, ""])


def describe_outcome(what: str, promise: dict[str, Any]) -> str:
    return (
        f"{what} at {100 * promise['max_error']:g} %: {100 * promise['rejected']:.2f} % rejected, "
        f"{100 * promise['error']:.2f} % of the accepted digits wrong"
    )


def show_promises(result: dict[str, Any]) -> str:
    head = (
        f"`{result['command']}`, weights `{result['weights']}`: readings at the thresholds of `--max-error`. "
        "The columns give the readings that are accepted, how many of them are wrong, their share, and the "
        "share of all readings that is rejected. The rows of 1, 2-4, 5-7 and 8+ digits count by the number "
        "of digits that was read. The last column is the share of wrong readings at the threshold for single "
        "images, which does not fit readings.\n"
    )
    rows = ["| pictures | digits | promised | accepted | wrong | share | rejected | single images |"]
    rows.append("|" + "---|" * 8)
    for name, promises in result["sets"].items():
        for promise, values in promises.items():
            for group, count in values["promised"].items():
                if not count["count"]:
                    continue
                shares = [count["share"], count["rejected"], values["single images"][group]["share"]]
                cells = ["–" if share is None else f"{share:.2%}" for share in shares]
                counts = f"{count['accepted']:,} of {count['count']:,} | {count['wrong']}"
                rows.append(f"| {name} | {group} | {promise} | {counts} | {' | '.join(cells)} |")
    return "\n".join([head, *rows, ""])


def show_pictures(result: dict[str, Any]) -> str:
    kinds = sorted(result["accuracy"].items(), key=lambda item: -item[1]["count"])
    rows = show_halves(dict(kinds), "pictures")
    head = (
        f"`{result['command']}`, weights `{result['weights']}`: pictures of single digits by other writers, "
        "drawn, scanned and photographed. The pictures were not used in training and are not part of this "
        "repository.\n"
    )
    changed = "; ".join(
        f"{name.replace('-', ' by ')} {value['share_without_tiny']:.1%}"
        for name, value in result["changed"].items()
    )
    times = ", ".join(f"{name} {value:.0f}" for name, value in result["milliseconds"].items())
    tail = (
        "The same pictures were transformed and read again. The share of readings that changed, without "
        f"pictures that become less than 12 pixels high: {changed}.\n\n"
        f"Milliseconds for one picture, one thread: {times}.\n"
    )
    return "\n".join([head, *rows, "", tail])


def show_halves(kinds: dict[str, Any], what: str) -> list[str]:
    """The rows of a table: what of each kind is read correctly, in all and in both halves."""
    rows = [
        f"| {what} | number | read correctly | seen half | blind half | rejected | accepted at 1 % wrong |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind, value in kinds.items():
        halves = [value["halves"].get(half) for half in ("seen", "blind")]
        cells = [f"{half['share']:.1%} of {half['count']:,}" if half else "–" for half in halves]
        cells += [f"{value['rejected']:.1%}", f"{value['coverage at 1% wrong']:.1%}"]
        rows.append(f"| {kind} | {value['count']:,} | **{value['share']:.1%}** | {' | '.join(cells)} |")
    return rows


def show_strings(result: dict[str, Any]) -> str:
    rows = show_halves(
        {kind: value for kind, value in result["exact"].items() if value["count"] > 10}, "strings"
    )
    head = (
        f"`{result['command']}`, weights `{result['weights']}`: amounts from scanned cheques, photographed "
        "numbers, and strings composed of MNIST's test digits. The scans and photographs were not used in "
        "training and are not part of this repository. A string counts as correct when all its digits are "
        "correct.\n"
    )
    times = ", ".join(f"{name} {value:.0f}" for name, value in result["milliseconds"].items())
    return "\n".join([head, *rows, "", f"Milliseconds for one string, one thread: {times}.\n"])


def show_corruptions(result: dict[str, Any]) -> str:
    checkpoints = result["checkpoints"]
    columns = {f"`{name}`, images": value["images"]["corruptions"] for name, value in checkpoints.items()}
    for name, value in checkpoints.items():
        if "pictures" in value:
            kinds = value["pictures"]["corruptions"]
            columns[f"`{name}`, pictures"] = {kind: counted["right"] for kind, counted in kinds.items()}
    rows = ["| corruption | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    kinds = list(next(iter(columns.values())))
    for kind in kinds:
        shares = [f"{100 * column[kind]:.2f} %" for column in columns.values()]
        rows.append(f"| {kind.replace('_', ' ')} | " + " | ".join(shares) + " |")
    corrupted = [kind for kind in kinds if kind != "identity"]
    means = [sum(column[kind] for kind in corrupted) / len(corrupted) for column in columns.values()]
    rows.append(
        f"| **mean of {len(corrupted)}** | " + " | ".join(f"**{100 * m:.2f} %**" for m in means) + " |"
    )
    head = (
        f"`{result['command']}`: accuracy on MNIST's test images, corrupted in the ways of MNIST-C. Columns "
        "named *images* give the corrupted images to the network directly; columns named *pictures* "
        "give some of them to the reader, which first looks for ink. No recipe trains on these corruptions. "
        "The recipe `reader` trains on related ones: straight printed lines, uneven paper and noise.\n"
    )
    return "\n".join([head, *rows, ""])


def show_kills(result: dict[str, Any]) -> str:
    summary = result["summary"]
    outcome = "the same bits" if summary["bits_are_equal"] else "DIFFERENT BITS"
    return (
        f"`{result['command']}`: a training was killed with SIGKILL and resumed {summary['kills']} times. It "
        f"ended with **{outcome}** as a training that was never killed. After the kills, "
        f"{summary['checkpoints_loaded_after_kills']} checkpoints were found, and all of them loaded.\n"
    )


def show_bulk(result: dict[str, Any]) -> str:
    return (
        f"`{result['command']}`: **{result['pictures_per_second']:.0f} pictures/s** from the start of the "
        f"process to its end; {result['pictures']:,} rendered pictures, {result['workers']} workers, "
        f"{result['processor_milliseconds_a_picture']:.0f} ms of processor time for one picture. The maximum "
        f"memory of all processes together was {result['megabytes_first_quarter']:,} MB in the first quarter "
        f"of the time and {result['megabytes_last_quarter']:,} MB in the last quarter. "
        f"{result['compared_pictures']} pictures were read one by one, by one worker, by all workers, and by "
        f"a command that was killed {result['kills']} times. The results have "
        f"**{'the same bytes' if result['same_bytes'] else 'different bytes'}**.\n"
    )


def show_page(result: dict[str, Any]) -> str:
    one, two = (result[f"milliseconds_pen_to_layers{name}"] for name in ("", "_of_two"))
    loads = result["milliseconds_to_first_reading"]
    differences = ", ".join(
        f"`{name}` {value['largest_difference']:.1e}" for name, value in result["logits"].items()
    )
    return (
        f"`{result['command']}`, Chromium {result['chromium']}: the page with {len(result['networks'])} "
        f"networks has {result['bytes'] / 1000:.0f} kB. It reads a drawing "
        f"{loads[len(loads) // 2]:.0f} ms after it is opened (median of {len(loads)}). From a movement of "
        f"the pen until all layers are drawn it takes {one['median']:.1f} ms (median; 95th percentile "
        f"{one['percentile_95']:.1f}), with two networks {two['median']:.1f} ms "
        f"({two['percentile_95']:.1f}). The largest difference of a logit from PyTorch's, on 1,000 test "
        f"images of MNIST: {differences}. The page carries weights with 20 significant bits of 24.\n"
    )


def show_exports(result: dict[str, Any]) -> str:
    rows = ["| network | form | test accuracy | bytes | largest difference of a logit | ms for one image |"]
    rows.append("|" + "---|" * 6)
    notes = []
    for name, value in result["checkpoints"].items():
        size = 4 * value["parameters"]
        rows.append(
            f"| `{name}` | lenet, float | {value['float_accuracy']:.2%} | {size:,} | – "
            f"| {value['milliseconds']:.3f} |"
        )
        for form, title in (("onnx", "ONNX, float"), ("onnx_int8", "ONNX, 8 bits"), ("c", "C, 8 bits")):
            part = value[form]
            rows.append(
                f"| `{name}` | {title} | **{part['accuracy']:.2%}** | {part['bytes']:,} "
                f"| {part['largest_difference']:.2g} | {part['milliseconds']:.3f} |"
            )
        same = value["c"]["equal_to_numpy"]
        notes.append(
            f"`{name}`: {same:,} of {result['images']:,} images have the same scores in C and in numpy; "
            f"buffers take {value['c']['ram_bytes']:,} bytes."
        )
    head = (
        f"`{result['command']}`: MNIST's {result['images']:,} test images. Ranges are calibrated with "
        f"{result['calibration_images']:,} training images. Bytes are those of the file; for lenet, of the "
        "weights; for C, of the constants. Times are processor time of one image by itself, with one thread: "
        f"lenet and onnxruntime called from Python, C compiled by `{result['compiled']}` "
        f"({result['compiler']}).\n"
    )
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return "\n".join([head, *rows, "", " ".join(notes), "", f"Versions: {versions}.\n"])


def show_adapt(result: dict[str, Any]) -> str:
    before = 100 * result["mnist_before"]
    head = (
        f"`{result['command']}`: the recipe `adapt` adapts the weights `reader` to one writer. The pictures "
        "of a writer are split in two: one part is learnt, the other is read, and the same the other way "
        "round. An artificial hand is learnt from 40 digits and measured on MNIST's transformed test images, "
        f"by the network alone. The accuracy on MNIST's own test images is {before:.2f} % before; the table "
        "gives the change in points: the mean, and the lowest where there are several trainings. Seconds are "
        "of the processor, the mean, without imports. No setting was chosen on the blind pictures."
    )
    rows = ["| hand | read | wrong before | wrong after | change on MNIST | seconds |", "|" + "---|" * 6]
    for half, value in result["writers"].items():
        mean, lowest = (100 * value[f"mnist_after_{kind}"] - before for kind in ("mean", "lowest"))
        cells = [f"{value['writers']} writers, {half}", f"{value['pictures']:,} pictures"]
        cells += [
            str(value["wrong_before"]),
            str(value["wrong_after"]),
            f"{mean:+.2f} (lowest {lowest:+.2f})",
        ]
        rows.append("| " + " | ".join([*cells, f"{value['processor_seconds_mean']:.1f}"]) + " |")
    for name, value in result["artificial"].items():
        wrong = (f"{100 * (1 - value[f'accuracy_{moment}']):.2f} %" for moment in ("before", "after"))
        change = f"{100 * value['mnist_after'] - before:+.2f}"
        cells = [name, "10,000 images", *wrong, change, f"{value['processor_seconds']:.1f}"]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join([head, "", *rows]) + "\n"


SECTIONS = {
    "tutorial-loop": ("Speed of the training loop", show_speed),
    "kernel": ("The fused kernel and PyTorch's own operators", show_kernel),
    "kernel-spinning": ("The same with PyTorch's own thread settings", show_kernel),
    "peers": ("Comparison with other libraries", show_peers),
    "sprint": ("Time to 99 % on MNIST", show_sprint),
    "pictures-line": ("Pictures of single digits", show_pictures),
    "strings-line": ("Strings of digits", show_strings),
    "rejection": ("Rejection and calibration", show_rejection),
    "promises": ("Promised error rates", show_promises),
    "corruptions": ("Corruptions", show_corruptions),
    "exports": ("Exported networks", show_exports),
    "adapt": ("Adapting to a writer", show_adapt),
    "bulk": ("Pictures in bulk", show_bulk),
    "page": ("The page", show_page),
    "kill-and-resume": ("Killed and resumed", show_kills),
}


if __name__ == "__main__":
    main()
