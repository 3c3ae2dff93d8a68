"""Write docs/results.md from the results that the other scripts here wrote: no figure is typed by hand.

python benchmarks/table.py
"""

import json
from pathlib import Path
from typing import Any

from lenet.training.recipes import RECIPES

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "results.md"

SPACE = "\N{NO-BREAK SPACE}"  # narrow columns shall not tear a figure from its spread

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- results -->", "<!-- /results -->"

WAITING = (
    "Threads wait for work as lenet makes them (GOMP_SPINCOUNT=1000); waiting in torch's own way, "
    "PyTorch alone is faster and the kernel slower."
)

HEAD = """# Results

Every figure was measured by the command in its row; `benchmarks/results/` holds what it wrote: each seed,
the path epoch by epoch, the machine and the versions. Mean ± standard deviation over seeds. The test images
chose nothing: figures are those of the last epoch or, where a recipe holds images out of training, of the
best epoch by those.
"""


def main() -> None:
    results = {file.stem: json.loads(file.read_text()) for file in sorted(RESULTS.glob("*.json"))}
    accuracy = [result for result in results.values() if result.get("what") == "accuracy"]
    accuracy.sort(key=lambda result: list(RECIPES).index(result["recipe"]["name"]))
    parts = [HEAD, "## Accuracy\n", show_accuracy(accuracy)]
    for name, (title, show) in SECTIONS.items():
        if name in results:
            parts += [f"## {title}\n", show(results[name])]
    machine = accuracy[0]["machine"]
    parts.append(
        f"Measured on {machine['processor']}, {machine['cores']} cores, {machine['system']}, "
        f"Python {machine['python']}, torch {machine['torch']}.\n"
    )
    PAGE.write_text("\n".join(parts))
    before, mark, rest = README.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    README.write_text(f"{before}{mark}\n{show_short(accuracy)}{end}{after}")
    print(PAGE, README)


def show_accuracy(results: list[dict[str, Any]]) -> str:
    rows = ["| recipe | data | seeds | epochs | train loss | train | test | its author's figures | command |"]
    rows.append("|" + "---|" * 9)
    for result in results:
        recipe, summary = result["recipe"], result["summary"]
        seeds, loss = len(result["seeds"]), summary["train_loss"]
        cells = [
            recipe["name"],
            recipe["data"],
            str(seeds),
            str(recipe["epochs"]),
            show_figure(loss["mean"], loss["standard_deviation"], 3, seeds),
            show_share(summary["train_accuracy"], seeds),
            f"**{show_share(summary['test_accuracy'], seeds)}**",
            show_published(recipe["published"]),
            f"`{result['command']}`",
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def show_short(results: list[dict[str, Any]]) -> str:
    """The table of the README."""
    rows = [
        "| `lenet train …` | data | test accuracy | seeds | its author's figure |",
        "|---|---|---|---|---|",
    ]
    for result in results:
        recipe, seeds = result["recipe"], len(result["seeds"])
        accuracy = show_share(result["summary"]["test_accuracy"], seeds)
        published = show_published(recipe["published"]).partition("; loss")[0]
        name = recipe["name"] + f" --epochs {recipe['epochs']}" * ("--epochs" in result["command"])
        rows.append(f"| `{name}` | {recipe['data']} | {accuracy} | {seeds} | {published} |")
    return "\n".join(rows) + "\n"


def show_share(value: dict[str, float], seeds: int) -> str:
    return show_figure(100 * value["mean"], 100 * value["standard_deviation"], 2, seeds) + f"{SPACE}%"


def show_figure(mean: float, deviation: float, digits: int, seeds: int) -> str:
    """Mean and spread; a single run has none."""
    return f"{mean:.{digits}f}" + f"{SPACE}±{SPACE}{deviation:.{digits}f}" * (seeds > 1)


def show_published(published: dict[str, Any]) -> str:
    words = {"train_loss": "loss {:.4g}", "train_accuracy": "train {:.2%}", "test_accuracy": "test {:.2%}"}
    words |= {"validation_accuracy": "validation {:.2%}"}
    parts = [words[name].format(value) for name, value in published.items() if name in words]
    parts += [value for value in published.values() if isinstance(value, str)]
    return "; ".join(parts) or "–"


def show_speed(result: dict[str, Any]) -> str:
    return (
        f"`{result['command']}`: {result['images']:,} images of Fashion-MNIST, recipe `{result['recipe']}`, "
        f"{len(result['pairs'])} pairs of runs in turn in one process, "
        f"{result['machine']['threads']} threads: "
        f"**{result['ratio_median']:.2f} times** the tutorials' loop (median of the pairs' ratios; "
        f"{result['ratio_min']:.2f} to {result['ratio_max']:.2f}); medians {result['ours_median']:,.0f} and "
        f"{result['tutorials_median']:,.0f} examples/s.\n"
    )


def show_kernel(result: dict[str, Any]) -> str:
    rows = ["| what | kernel, images/s | PyTorch, images/s | ratio |", "|---|---|---|---|"]
    for name, value in result.items():
        if not isinstance(value, dict) or "wall_ratio" not in value:
            continue
        images = 1 if "one image" in name else 1024 if "1,024" in name else 256
        ours, eager = (images / value["wall_seconds"][who] for who in ("fused", "eager"))
        rows.append(f"| {name} | {ours:,.0f} | {eager:,.0f} | **{value['wall_ratio']:.1f}** |")
    shares = [
        f"{name.partition(': ')[2]}: {value['blocks_gflops_a_core']:.0f} GFLOP/s a core, "
        f"{value['share_of_sgemm']:.1f} times PyTorch's own matrix product"
        for name, value in result.items()
        if isinstance(value, dict) and "share_of_sgemm" in value
    ]
    threads = result["machine"]["threads"]
    head = f"`python benchmarks/kernel.py`, {threads} threads, batch 256 unless it says else. {WAITING}\n"
    note = (
        "Work is counted as the layers define it; behind max-pooling the kernel leaves out the products with "
        "gradients that are zero, which is how it passes the matrix product."
    )
    return "\n".join([head, *rows, "", f"The convolutions alone, {'; '.join(shares)}. {note}", ""])


def show_peers(result: dict[str, Any]) -> str:
    rows = ["| what | peer | its images/s | ours | ratio | its first call |", "|---|---|---|---|---|---|"]
    for what, peers in result["images_per_second"].items():
        for peer, value in peers.items():
            speeds = (value["images_per_second"], value["ours_images_per_second"])
            cells = [what, peer, *(f"{speed:,.0f}" for speed in speeds), f"**{value['ratio']:.2f}**"]
            rows.append("| " + " | ".join([*cells, f"{value['first_call_seconds']:.1f} s"]) + " |")
    latency = result["latency_of_one_image_microseconds"]
    times = ", ".join(f"{name} {value:.0f} µs" for name, value in latency.items())
    threads = result["machine"]["threads"]
    head = f"`{result['command']}`, batch {result['batch_size']}, {threads} threads. {WAITING}\n"
    ours, theirs = (result["megabytes_of_training"][name] for name in ("LeNet", "PlainLeNet"))
    memory = ", ".join(f"{ours[batch]:.0f} (eager {theirs[batch]:.0f}) at batch {batch}" for batch in ours)
    tail = (
        f"Latency of one image in Python: {times}.\n\nMegabytes that training adds: {memory}.\n\n"
        "![speed by batch, channels and threads](growth.png)\n"
    )
    return "\n".join([head, *rows, "", tail])


def show_sprint(result: dict[str, Any]) -> str:
    cold = ", ".join(f"{seconds:.1f}" for seconds in result["seconds_cold"]) or "not measured"
    accuracy = {"mean": result["accuracy_mean"], "standard_deviation": result["accuracy_standard_deviation"]}
    return (
        f"`{result['command']}`: {len(result['runs'])} seeds, each a fresh process of `lenet train sprint`: "
        f"**{show_share(accuracy, len(result['runs']))}** on MNIST's test images, "
        f"**{result['seconds_warm_median']:.1f} s** from the start of the process to its "
        f"end (warm, median; cold: {cold} s), "
        f"{result['seconds_of_training_median']:.1f} s of them training, "
        f"{result['machine']['threads']} threads.\n"
    )


def show_rejection(result: dict[str, Any]) -> str:
    head = (
        f"`{result['command']}`: rejected of MNIST's test digits for no more of the rest to be wrong than "
        "that; and rejected of pictures of no digit, seven kinds, where 1 % of the digits are."
    )
    rows = ["| weights | accuracy | 1 % | 0.5 % | 0.1 % | calibration error | no digit, rejected |"]
    rows.append("|" + "---|" * 7)
    for name, value in result["checkpoints"].items():
        rates = [f"{100 * rate['rejected']:.2f} %" for rate in value["reject_rates"]]
        cells = [f"`{name}`", f"{100 * value['accuracy']:.2f} %", *rates]
        cells.append(f"{100 * value['calibration_error']:.2f} %")
        cells.append(f"**{100 * value['not_digits_rejected_mean']:.1f} %**")
        rows.append("| " + " | ".join(cells) + " |")
    kept = [
        f"`{name}` at {100 * promise['max_error']:g} %: {100 * promise['rejected']:.2f} % rejected, "
        f"{100 * promise['error']:.2f} % of the rest wrong"
        for name, value in result["checkpoints"].items()
        for promise in value["promises"]
        if "error" in promise
    ]
    promises = f"What `--max-error` promised, from held-out digits, on the test digits: {'; '.join(kept)}."
    again = [again for value in result["checkpoints"].values() for again in value["promises_drawn_again"]]
    worst = max(again, key=lambda row: row["broken"] / max(row["given"], 1))
    luck = (
        f"Figured {worst['times']:,} times on {worst['digits']:,} digits drawn from the test digits, promises"
        f" were broken in {100 * worst['broken'] / max(worst['given'], 1):.1f} % of the cases at most."
    )
    return "\n".join([head, "", *rows, "", promises, luck, ""])


def show_pictures(result: dict[str, Any]) -> str:
    kinds = sorted(result["accuracy"].items(), key=lambda item: -item[1]["count"])
    rows = ["| pictures | number | read right |", "|---|---|---|"]
    rows += [f"| {kind} | {value['count']:,} | **{value['share']:.1%}** |" for kind, value in kinds]
    head = (
        f"`{result['command']}`, `{result['weights']}`: single digits of other writers, drawn, scanned and "
        "photographed; they took no part in training and are not part of this repository.\n"
    )
    changed = "; ".join(
        f"{name.replace('-', ' by ')} {value['share_without_tiny']:.1%}"
        for name, value in result["changed"].items()
    )
    times = ", ".join(f"{name} {value:.0f}" for name, value in result["milliseconds"].items())
    tail = (
        "Readings that change where the same digit is shown in another way, pictures left out that become "
        f"less than 12 pixels high: {changed}. Milliseconds a picture, one thread: {times}.\n"
    )
    return "\n".join([head, *rows, "", tail])


def show_strings(result: dict[str, Any]) -> str:
    rows = ["| strings | number | read exactly | rejected |", "|---|---|---|---|"]
    for kind, value in result["exact"].items():
        if value["count"] > 10:
            rows.append(f"| {kind} | {value['count']} | **{value['share']:.1%}** | {value['rejected']:.1%} |")
    head = (
        f"`{result['command']}`, `{result['weights']}`: amounts cut from scanned cheques and numbers "
        "photographed, which took no part in training and are not part of this repository, and strings "
        "composed of MNIST's test digits. A string is right when every digit of it is.\n"
    )
    times = ", ".join(f"{name} {value:.0f}" for name, value in result["milliseconds"].items())
    return "\n".join([head, *rows, "", f"Milliseconds a string, one thread: {times}.\n"])


def show_corruptions(result: dict[str, Any]) -> str:
    checkpoints = result["checkpoints"]
    columns = {f"`{name}`, images": value["images"]["corruptions"] for name, value in checkpoints.items()}
    for name, value in checkpoints.items():
        if "pictures" in value:
            kinds = value["pictures"]["corruptions"]
            columns[f"`{name}`, pictures"] = {kind: figures["right"] for kind, figures in kinds.items()}
    rows = ["| corruption | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    kinds = list(next(iter(columns.values())))
    for kind in kinds:
        shares = [f"{100 * column[kind]:.2f} %" for column in columns.values()]
        rows.append(f"| {kind.replace('_', ' ')} | " + " | ".join(shares) + " |")
    spoilt = [kind for kind in kinds if kind != "identity"]
    means = [sum(column[kind] for kind in spoilt) / len(spoilt) for column in columns.values()]
    rows.append(
        "| **mean of the fifteen** | " + " | ".join(f"**{100 * share:.2f} %**" for share in means) + " |"
    )
    head = (
        f"`{result['command']}`: accuracy on MNIST's test images, spoilt in the ways of MNIST-C, which no "
        "training has seen: handed to the network as they are, and some to the reader, which finds the ink "
        "first.\n"
    )
    return "\n".join([head, *rows, ""])


def show_kills(result: dict[str, Any]) -> str:
    summary = result["summary"]
    outcome = "the same bits" if summary["bits_are_equal"] else "OTHER BITS"
    return (
        f"`{result['command']}`: {summary['kills']} times killed with SIGKILL and resumed, **{outcome}** "
        f"as the run that was never killed; {summary['checkpoints_loaded_after_kills']} checkpoints found "
        "after kills, all of them loaded.\n"
    )


def show_bulk(result: dict[str, Any]) -> str:
    return (
        f"`{result['command']}`: **{result['pictures_per_second']:.0f} pictures/s** from the start of the "
        f"process to its end, {result['pictures']:,} drawn pictures, {result['workers']} workers, "
        f"{result['processor_milliseconds_a_picture']:.0f} ms of a core each. All processes together held at "
        f"most {result['megabytes_first_quarter']:,} MB in the first quarter of the time and "
        f"{result['megabytes_last_quarter']:,} MB in the last. {result['compared_pictures']} pictures read "
        f"one by one, by one worker, by all, and by a command killed {result['kills']} times: "
        f"**{'the same bytes' if result['same_bytes'] else 'different bytes'}**.\n"
    )


SECTIONS = {
    "tutorial-loop": ("Speed of the training loop", show_speed),
    "kernel": ("The fused kernel beside PyTorch's own operators", show_kernel),
    "peers": ("Beside other libraries", show_peers),
    "sprint": ("Seconds to 99 %", show_sprint),
    "pictures-reader": ("Pictures of single digits", show_pictures),
    "strings-reader": ("Strings of digits", show_strings),
    "rejection": ("Rejection and calibration", show_rejection),
    "corruptions": ("Corruptions", show_corruptions),
    "bulk": ("Pictures in bulk", show_bulk),
    "kill-and-resume": ("Killed and resumed", show_kills),
}


if __name__ == "__main__":
    main()
