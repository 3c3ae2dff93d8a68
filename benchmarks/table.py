"""Write the pages of results and the tables of the READMEs from the results of the other scripts here.

    python benchmarks/table.py

Every number comes from a file in benchmarks/results/; none is typed by hand.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lenet.models.config import LeNetConfig
from lenet.training.recipes import RECIPES

sys.path.append(str(Path(__file__).parents[1] / "docs"))
from catalogue import Say, translate

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "results.md"

SPACE = "\N{NO-BREAK SPACE}"  # in a narrow column, mean and deviation stay on one line

README = Path(__file__).parents[1] / "README.md"
CHINESE_README = README.with_name("README.zh-CN.md")
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
    PAGE.write_text(write_page(), "utf-8")
    PAGE.with_suffix(".zh.md").write_text(translate("docs/results.md", write_page), "utf-8")
    replace_table(README, show_short(str))
    replace_table(CHINESE_README, translate("README.md", show_short))
    print(PAGE, README)


def write_page(say: Say = str) -> str:
    """The whole page as Markdown."""
    results = {file.stem: json.loads(file.read_text()) for file in sorted(RESULTS.glob("*.json"))}
    parts = [say_paragraphs(HEAD, say), f"## {say('Accuracy')}\n", say_paragraphs(ACCURACY, say)]
    parts += [show_accuracy(read_accuracy(), say), show_machines(read_accuracy(), say)]
    for name, (title, show) in SECTIONS.items():
        if name in results:
            machine = show_machine(results[name]["machine"], say)
            parts += [f"## {say(title)}\n", show(results[name], say), machine]
    return "\n".join(parts)


def read_accuracy() -> list[dict[str, Any]]:
    """The measured accuracies, in the order of the recipes."""
    results = (json.loads(file.read_text()) for file in sorted(RESULTS.glob("*.json")))
    accuracy = [result for result in results if result.get("what") == "accuracy"]
    return sorted(accuracy, key=lambda result: list(RECIPES).index(result["recipe"]["name"]))


def replace_table(readme: Path, table: str) -> None:
    """Put the table between the marks of a README."""
    before, mark, rest = readme.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    readme.write_text(f"{before}{mark}\n{table}{end}{after}", "utf-8")


def say_paragraphs(text: str, say: Say) -> str:
    """A text whose paragraphs, or lines that begin with a mark, are messages."""
    return "\n\n".join(map(say, text.strip().split("\n\n"))) + "\n"


def write_row(cells: Iterable[str]) -> str:
    """A row of a table."""
    return f"| {' | '.join(cells)} |"


def write_head(cells: Iterable[str]) -> list[str]:
    """The first two rows of a table."""
    cells = list(cells)
    return [write_row(cells), "|" + "---|" * len(cells)]


def name_processor(machine: dict[str, Any], say: Say) -> str:
    """The processor's name, family and model; older files have the name alone."""
    processor = str(machine["processor"])
    if ", family " in processor:
        return processor
    return say("{processor}, family and model not recorded").format(processor=processor)


def show_machine(machine: dict[str, Any], say: Say) -> str:
    """What a section was measured on, in one line."""
    blocks, commit = machine.get("blocks"), machine.get("commit") or say(UNKNOWN)
    values = {**machine, "processor": name_processor(machine, say), "commit": commit}
    message = (
        "Machine: {processor}; cores: {cores}; threads: {threads}; kernel: {blocks}; {system}, "
        "Python {python}, torch {torch}; commit: {commit}."
    )
    return say(message).format(**values | {"blocks": say(blocks or UNKNOWN)}) + "\n"


def show_machines(results: list[dict[str, Any]], say: Say) -> str:
    """The machines of several results, each with its recipes."""
    recipes: dict[str, list[str]] = {}
    for result in results:
        recipes.setdefault(show_machine(result["machine"], say), []).append(f"`{result['recipe']['name']}`")
    line = say("{recipes}. {machine}")
    return "".join(
        "- " + line.format(recipes=say(", ").join(names), machine=machine)
        for machine, names in recipes.items()
    )


def show_accuracy(results: list[dict[str, Any]], say: Say) -> str:
    columns = ("recipe", "data", "seeds", "epochs", "test accuracy", "printed by the source")
    rows, notes = write_head(map(say, (*columns, "training loss", "training accuracy"))), []
    for result in results:
        recipe, summary = result["recipe"], result["summary"]
        seeds, loss = len(result["seeds"]), summary["train_loss"]
        cells = [
            recipe["name"],
            recipe["data"],
            str(seeds),
            str(recipe["epochs"]),
            f"**{show_share(summary['test_accuracy'], seeds)}**",
            show_published(recipe["published"], say),
            show_mean(loss["mean"], loss["standard_deviation"], 3, seeds),
            show_share(summary["train_accuracy"], seeds),
        ]
        rows.append(write_row(cells))
        also = [
            say("Also printed ({name}): {value}.").format(name=say(name.replace("_", " ")), value=say(value))
            for name, value in recipe["published"].items()
            if isinstance(value, str)
        ]
        command = say("`{recipe}`: `{command}`.").format(recipe=recipe["name"], command=result["command"])
        notes.append(" ".join(["- " + command, *also]))
    return "\n".join([*rows, "", say("The commands:"), "", *notes, "", say("The machines:")]) + "\n"


def show_short(say: Say) -> str:
    """The table of the README, and the machines behind it."""
    columns = ("`lenet train …`", "data", "test accuracy", "seeds", "printed by the source")
    rows = write_head(map(say, columns))
    machines: dict[str, list[str]] = {}
    for result in read_accuracy():
        recipe, seeds = result["recipe"], len(result["seeds"])
        accuracy = show_share(result["summary"]["test_accuracy"], seeds)
        published = show_published(recipe["published"], say)
        name = recipe["name"] + f" --epochs {recipe['epochs']}" * ("--epochs" in result["command"])
        rows.append(write_row((f"`{name}`", recipe["data"], accuracy, str(seeds), published)))
        processor = name_processor(result["machine"], say)
        commit = result["machine"].get("commit") or say(UNKNOWN)
        described = say("{processor}; commit: {commit}.").format(processor=processor, commit=commit)
        machines.setdefault(described, []).append(f"`{recipe['name']}`")
    line = say("Processor of {recipes}: {machine}" if len(machines) > 1 else "Processor: {machine}")
    lines = [
        line.format(recipes=say(", ").join(names), machine=machine) for machine, names in machines.items()
    ]
    return "\n".join([*rows, "", "<br>\n".join(lines)]) + "\n"


def show_share(value: dict[str, float], seeds: int) -> str:
    return show_mean(100 * value["mean"], 100 * value["standard_deviation"], 2, seeds) + f"{SPACE}%"


def show_mean(mean: float, deviation: float, digits: int, seeds: int) -> str:
    """Mean and standard deviation; a single run has none."""
    return f"{mean:.{digits}f}" + f"{SPACE}±{SPACE}{deviation:.{digits}f}" * (seeds > 1)


def show_published(published: dict[str, Any], say: Say) -> str:
    words = {"train_loss": "loss {:.4g}", "train_accuracy": "train {:.2%}", "test_accuracy": "test {:.2%}"}
    words |= {"validation_accuracy": "validation {:.2%}"}
    parts = [say(words[name]).format(value) for name, value in published.items() if name in words]
    return say("; ").join(parts) or "–"


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
        "{batch_size} unless the row names another. A ratio above 1 means that lenet is faster."
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


def show_rejection(result: dict[str, Any], say: Say) -> str:
    head = say(
        "`{command}`: the columns 1 %, 0.5 % and 0.1 % give the share of MNIST's test digits that has to be "
        "rejected so that at most this share of the accepted digits is wrong. The last column gives the "
        "share of negatives (seven kinds of pictures without a digit) that is rejected at the threshold that "
        "rejects 1 % of the digits. *Readings* are of the same digits as pictures, named by `line` and "
        "`reader` together."
    ).format(**result)
    columns = [say("weights"), say("accuracy"), "1 %", "0.5 %", "0.1 %"]
    columns += [say("expected calibration error"), say("negatives rejected")]
    rows = write_head(columns)
    for name, value in result["checkpoints"].items():
        rates = [f"{100 * rate['rejected']:.2f} %" for rate in value["reject_rates"]]
        cells = [f"`{name}`", f"{100 * value['accuracy']:.2f} %", *rates]
        cells.append(f"{100 * value['calibration_error']:.2f} %")
        cells.append(f"**{100 * value['not_digits_rejected_mean']:.1f} %**")
        rows.append(write_row(cells))
    readings = result["readings"]
    rates = [f"{100 * rate['rejected']:.2f} %" for rate in readings["reject_rates"]]
    rows.append(write_row([say("readings"), f"{100 * readings['accuracy']:.2f} %", *rates, "–", "–"]))
    single = [
        describe_outcome(f"`{name}`", promise, say)
        for name, value in result["checkpoints"].items()
        for promise in value["promises"]
        if "error" in promise
    ]
    whole = [describe_outcome(say("readings"), promise, say) for promise in readings["promises"]]
    promises = say(
        "Thresholds for single images, from digits held out of training, had this outcome on test digits: "
        "{outcome}. Thresholds for readings, from composed pictures: {whole}."
    ).format(outcome=say("; ").join(single), whole=say("; ").join(whole))
    again = [again for value in result["checkpoints"].values() for again in value["promises_drawn_again"]]
    worst = max(again, key=lambda row: row["broken"] / max(row["given"], 1))
    luck = say(
        "Thresholds were also computed {times:,} times from {digits:,} digits drawn from the test digits. "
        "The promised error rate was exceeded in at most {share:.1f} % of the cases."
    ).format(**worst, share=100 * worst["broken"] / max(worst["given"], 1))
    return "\n".join([head, "", *rows, "", promises, "", luck, ""])


def describe_outcome(what: str, promise: dict[str, Any], say: Say) -> str:
    return say(
        "{what} at {promised:g} %: {rejected:.2f} % rejected, {wrong:.2f} % of the accepted digits wrong"
    ).format(
        what=what,
        promised=100 * promise["max_error"],
        rejected=100 * promise["rejected"],
        wrong=100 * promise["error"],
    )


def show_promises(result: dict[str, Any], say: Say) -> str:
    head = say(
        "`{command}`, weights `{weights}`: readings at the thresholds of `--max-error`. The columns give the "
        "readings that are accepted, how many of them are wrong, their share, and the share of all readings "
        "that is rejected. The rows of 1, 2-4, 5-7 and 8+ digits count by the number of digits that was "
        "read. The last column is the share of wrong readings at the threshold for single images, which does "
        "not fit readings."
    ).format(**result)
    columns = ("pictures", "digits", "promised", "accepted", "wrong", "share", "rejected", "single images")
    rows = write_head(map(say, columns))
    for name, promises in result["sets"].items():
        for promise, values in promises.items():
            for group, count in values["promised"].items():
                if not count["count"]:
                    continue
                shares = [count["share"], count["rejected"], values["single images"][group]["share"]]
                cells = ["–" if share is None else f"{share:.2%}" for share in shares]
                accepted = say("{accepted:,} of {count:,}").format(**count)
                digits = say(group) if group.isalpha() else group
                rows.append(write_row([say(name), digits, promise, accepted, str(count["wrong"]), *cells]))
    return "\n".join([head + "\n", *rows, ""])


def show_pictures(result: dict[str, Any], say: Say) -> str:
    kinds = sorted(result["accuracy"].items(), key=lambda item: -item[1]["count"])
    rows = show_halves(dict(kinds), "pictures", say)
    head = say(
        "`{command}`, weights `{weights}`: pictures of single digits by other writers, drawn, scanned and "
        "photographed. The pictures were not used in training and are not part of this repository."
    ).format(**result)
    changed = []
    for name, value in result["changed"].items():
        change, _, factor = name.partition("-")
        by = " by up to {factor}°" if change == "rotated" else " by {factor}" if factor else ""
        text = say(change + by).format(factor=factor)
        share = f"{value['share_without_tiny']:.1%}"
        changed.append(say("{change} {share}").format(change=text, share=share))
    changes = say(
        "The same pictures were transformed and read again. The share of readings that changed, without "
        "pictures that become less than 12 pixels high: {changed}."
    ).format(changed=say("; ").join(changed))
    times = say(", ").join(f"{say(name)} {value:.0f}" for name, value in result["milliseconds"].items())
    tail = say("Milliseconds for one picture, one thread: {times}.").format(times=times)
    return "\n".join([head + "\n", *rows, "", changes, "", tail + "\n"])


def show_halves(kinds: dict[str, Any], what: str, say: Say) -> list[str]:
    """The rows of a table: what of each kind is read correctly, in all and in both halves."""
    columns = ("number", "read correctly", "seen half", "blind half", "rejected", "accepted at 1 % wrong")
    rows = write_head(map(say, (what, *columns)))
    message = say("{share:.1%} of {count:,}")
    for kind, value in kinds.items():
        halves = [value["halves"].get(half) for half in ("seen", "blind")]
        cells = [message.format(**half) if half else "–" for half in halves]
        cells += [f"{value['rejected']:.1%}", f"{value['coverage at 1% wrong']:.1%}"]
        rows.append(write_row([say(kind), f"{value['count']:,}", f"**{value['share']:.1%}**", *cells]))
    return rows


def show_strings(result: dict[str, Any], say: Say) -> str:
    kinds = {kind: value for kind, value in result["exact"].items() if value["count"] > 10}
    rows = show_halves(kinds, "strings", say)
    head = say(
        "`{command}`, weights `{weights}`: amounts from scanned cheques, photographed numbers, and strings "
        "composed of MNIST's test digits. The scans and photographs were not used in training and are not "
        "part of this repository. A string counts as correct when all its digits are correct."
    ).format(**result)
    times = say(", ").join(f"{say(name)} {value:.0f}" for name, value in result["milliseconds"].items())
    tail = say("Milliseconds for one string, one thread: {times}.").format(times=times)
    return "\n".join([head + "\n", *rows, "", tail + "\n"])


def show_corruptions(result: dict[str, Any], say: Say) -> str:
    checkpoints = result["checkpoints"]
    images, pictures = say("`{weights}`, images"), say("`{weights}`, pictures")
    columns = {
        images.format(weights=name): value["images"]["corruptions"] for name, value in checkpoints.items()
    }
    for name, value in checkpoints.items():
        if "pictures" in value:
            kinds = value["pictures"]["corruptions"]
            column = pictures.format(weights=name)
            columns[column] = {kind: counted["right"] for kind, counted in kinds.items()}
    rows = write_head([say("corruption"), *columns])
    kinds = list(next(iter(columns.values())))
    for kind in kinds:
        shares = [f"{100 * column[kind]:.2f} %" for column in columns.values()]
        rows.append(write_row([say(kind.replace("_", " ")), *shares]))
    corrupted = [kind for kind in kinds if kind != "identity"]
    means = [sum(column[kind] for kind in corrupted) / len(corrupted) for column in columns.values()]
    title = say("**mean of {count}**").format(count=len(corrupted))
    rows.append(write_row([title, *(f"**{100 * mean:.2f} %**" for mean in means)]))
    head = say(
        "`{command}`: accuracy on MNIST's test images, corrupted in the ways of MNIST-C. Columns named "
        "*images* give the corrupted images to the network directly; columns named *pictures* give some of "
        "them to the reader, which first looks for ink. No recipe trains on these corruptions. The recipe "
        "`reader` trains on related ones: straight printed lines, uneven paper and noise."
    ).format(**result)
    return "\n".join([head + "\n", *rows, ""])


def show_kills(result: dict[str, Any], say: Say) -> str:
    outcome = say("the same bits" if result["summary"]["bits_are_equal"] else "DIFFERENT BITS")
    message = say(
        "`{command}`: a training was killed with SIGKILL and resumed {kills} times. It ended with "
        "**{outcome}** as a training that was never killed. After the kills, "
        "{checkpoints_loaded_after_kills} checkpoints were found, and all of them loaded."
    )
    return message.format(**result["summary"], command=result["command"], outcome=outcome) + "\n"


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


def show_adapt(result: dict[str, Any], say: Say) -> str:
    before = 100 * result["mnist_before"]
    head = say(
        "`{command}`: the recipe `adapt` adapts the weights `reader` to one writer. The pictures of a writer "
        "are split in two: one part is learnt, the other is read, and the same the other way round. An "
        "artificial hand is learnt from 40 digits and measured on MNIST's transformed test images, by the "
        "network alone. The accuracy on MNIST's own test images is {before:.2f} % before; the table gives "
        "the change in points: the mean, and the lowest where there are several trainings. Seconds are of "
        "the processor, the mean, without imports. No setting was chosen on the blind pictures."
    ).format(command=result["command"], before=before)
    rows = write_head(map(say, ("hand", "read", "wrong before", "wrong after", "change on MNIST", "seconds")))
    for half, value in result["writers"].items():
        mean, lowest = (100 * value[f"mnist_after_{kind}"] - before for kind in ("mean", "lowest"))
        cells = [
            say("{writers} writers, {half}").format(writers=value["writers"], half=say(half)),
            say("{pictures:,} pictures").format(**value),
            str(value["wrong_before"]),
            str(value["wrong_after"]),
            say("{mean:+.2f} (lowest {lowest:+.2f})").format(mean=mean, lowest=lowest),
        ]
        rows.append(write_row([*cells, f"{value['processor_seconds_mean']:.1f}"]))
    for name, value in result["artificial"].items():
        wrong = (f"{100 * (1 - value[f'accuracy_{moment}']):.2f} %" for moment in ("before", "after"))
        change = f"{100 * value['mnist_after'] - before:+.2f}"
        cells = [say(name), say("10,000 images"), *wrong, change, f"{value['processor_seconds']:.1f}"]
        rows.append(write_row(cells))
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
