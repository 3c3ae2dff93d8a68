"""The section of the page of results about the networks of 1998."""

from collections import defaultdict
from statistics import mean, stdev
from typing import Any

from classic import CHOICES, climb
from results_text import Say, show_mean, write_head, write_row

# LeCun et al. 1998, figures 9 and 10: test error, and what is rejected for an error of .5 %; percent.
PAPER: dict[str, tuple[float | None, float | None]] = {
    "plain/lenet5-1998": (0.95, None),
    "plain/lenet4-1998": (1.1, 1.8),
    "plain/lenet1-1998": (1.7, 3.7),
    "distorted/lenet5-1998": (0.8, None),
    "boosted/lenet4-1998": (0.7, 0.5),
}
BASELINES = {"1-nearest-neighbour": 5.0, "linear": 12.0}
PASSES = (1, 2, 3, 5, 8, 10, 12, 15, 20)
NAMES = {
    "plain": "60,000 images",
    "distorted": "distorted anew in each pass",
    "boosted": "three networks, distorted images",
}
Runs = list[dict[str, Any]]


def show_classic(result: dict[str, Any], say: Say) -> str:
    choices = (name for network in CHOICES.values() for name in network)
    for title in (*choices, *(name for name, _ in climb()), *BASELINES, *NAMES.values()):
        say(title)  # so that the catalogue has them all, also before they are measured
    groups: defaultdict[str, Runs] = defaultdict(list)
    for name, entry in result["entries"].items():
        groups[name.rpartition("/")[0] or name].append(entry)
    head = say(
        "`python benchmarks/classic.py`: the networks of 1998, trained one image at a time by the stochastic "
        "diagonal Levenberg–Marquardt method, 20 passes. Errors are on MNIST's 10,000 test images after the "
        "last pass, in percent; ± is the standard deviation over the seeds. The last columns are the "
        "paper's. Rejected: what must be refused for an error of 0.5 % among the others. The network of 1989 "
        "takes 23 passes; its paper's errors are on other images."
    )
    parts = [head, show_table(groups, say), show_curves(groups, say), show_ladder(groups, say)]
    parts += [show_choices(groups, say)]
    return "\n\n".join(part for part in parts if part) + "\n"


def show_table(groups: dict[str, Runs], say: Say) -> str:
    columns = (
        "network",
        "training",
        "seeds",
        "error",
        "best",
        "worst",
        "rejected",
        "error, 1998",
        "rejected, 1998",
    )
    rows = write_head(map(say, columns))
    for name, runs in groups.items():
        group, _, network = name.partition("/")
        if group not in NAMES:
            continue
        errors, rejected = [run["error"] for run in runs], [run["rejected"] for run in runs]
        cells = [f"`{network}`", say(NAMES[group]), str(len(runs)), f"**{show(errors)}**"]
        cells += [f"{min(errors):.2f}", f"{max(errors):.2f}", show(rejected)]
        cells += ["–" if value is None else f"{value:g}" for value in PAPER.get(name, (None, None))]
        rows.append(write_row(cells))
    for run in groups.get("baselines", []):
        for name, error in run["errors"].items():
            cells = [say(name), say(NAMES["plain"]), "–", f"{error:.2f}", "–", "–", "–"]
            rows.append(write_row([*cells, f"{BASELINES[name]:g}", "–"]))
    return "\n".join(rows) if len(rows) > 2 else ""


def show_curves(groups: dict[str, Runs], say: Say) -> str:
    rows = write_head([say("mean error after pass"), *map(str, PASSES)])
    for name, runs in groups.items():
        if name.startswith(("plain", "distorted")):
            group, _, network = name.partition("/")
            cells = [f"{mean(run['errors'][number - 1] for run in runs):.2f}" for number in PASSES]
            rows.append(write_row([f"`{network}`, {say(NAMES[group])}", *cells]))
    return "\n".join(rows) if len(rows) > 2 else ""


def show_ladder(groups: dict[str, Runs], say: Say) -> str:
    rows = write_head(map(say, ("from 1998 to today, each change on top of the others", "seeds", "error")))
    for name, runs in groups.items():
        if name.startswith("ladder/"):
            title = say(name.partition(" ")[2])
            rows.append(write_row([title, str(len(runs)), show([run["error"] for run in runs])]))
    return "\n".join(rows) if len(rows) > 2 else ""


def show_choices(groups: dict[str, Runs], say: Say) -> str:
    title = say("what the paper leaves open, 12 passes")
    rows = write_head([say("network"), title, say("seeds"), say("error on held-out images")])
    for name, runs in groups.items():
        if name.startswith("choices/"):
            errors = [run["validation_error"] for run in runs]
            _, network, choice = name.split("/", 2)
            rows.append(write_row([f"`{network}`", say(choice), str(len(runs)), show(errors)]))
    return "\n".join(rows) if len(rows) > 2 else ""


def show(values: list[float]) -> str:
    return show_mean(mean(values), stdev(values) if len(values) > 1 else 0.0, 2, len(values))
