"""Carry out the studies and write docs/studies.md from what they wrote: no figure is typed by hand.

python benchmarks/studies.py pooling kernel-size     (all without names; runs that are finished are kept)
python benchmarks/studies.py --page                  (the page alone, from the results that are there)
"""

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from lenet.bench.speed import describe_machine
from lenet.experiments.comparison import Comparison
from lenet.experiments.studies import STUDIES

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "studies"
PAGE = ROOT / "docs" / "studies.md"
FIGURES = ROOT / "docs" / "studies"
SEEDS = "5"

HEAD = """# Studies

The exercises that the textbook chapter and its blogs leave open. Each answer is a command, a figure and the
sentence that the figures bear out; the sentence is computed, too. Figures are mean ± standard deviation over
the seeds, in percent of the test images, after the last epoch: the test images choose nothing. Two variants
differ *beyond the spread* where Welch's t-test says so at 5 %, divided by the number of comparisons of the
study; the first variant is the one that the others are compared with. Trainings are short, so that every
study takes minutes: they compare, they do not compete with [the best we can](results.md).

A study trains one process a core, with one thread each, into ordinary run folders. Killed at any time, the
same command keeps what is finished. `lenet study` lists the studies; `--seeds`, `--epochs` and `--data`
change them:

```sh
lenet study pooling --data digits --epochs 2 --seeds 2
```

Your own question needs no name. Lists are tried in every combination, several seeds each:

```sh
lenet study --over activation=relu,tanh hidden=120-84,64 --epochs 1 --seeds 2
```

and ranges are searched, with as many trials as you say. Trials are judged by images held out of training,
given up early where they lag, and kept in a SQLite file, so that the same command goes on after a kill; with
`--storage postgresql://…`, any number of processes and machines share them.

```sh
lenet study --over lr=0.0001:0.1:log hidden=120-84,64 --trials 4 --epochs 2
```

A search needs the extra `study`: `pip install 'lenet[study]'`.
"""

LAYERS = "pullover-and-coat"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", help="studies; all of them by default")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    parser.add_argument("--page", action="store_true", help="carry out nothing, write the page")
    given = parser.parse_args()
    if not given.page:
        for name in given.names or [*STUDIES, LAYERS]:
            if name == LAYERS:
                compare_layers(given.runs_dir)
            else:
                carry_out(name, given.runs_dir)
    PAGE.write_text(write_page(), "utf-8")
    print(PAGE)


def carry_out(name: str, runs_dir: Path) -> None:
    """One study by the command itself; its figures and its picture are kept."""
    words = ["study", name, "--seeds", SEEDS]
    command = [sys.executable, "-m", "lenet", *words, "--runs-dir", str(runs_dir), "--json", "--quiet"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result = {"command": f"lenet {' '.join(words)}", **json.loads(done.stdout), "machine": describe_machine()}
    RESULTS.mkdir(parents=True, exist_ok=True)
    FIGURES.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    shutil.copyfile(runs_dir / "studies" / f"{name}.png", FIGURES / f"{name}.png")


def compare_layers(runs_dir: Path) -> None:
    """The first two layers on a pullover and a coat: what `lenet explain` finds, and its picture."""
    lenet = [sys.executable, "-m", "lenet"]
    training = [*lenet, "train", "d2l-relu", "--runs-dir", str(runs_dir), "--json", "--quiet"]
    run = json.loads(subprocess.run(training, check=True, stdout=subprocess.PIPE).stdout)["run"]
    words = ["explain", "--checkpoint", run, "--compare", "pullover", "coat"]
    command = [*lenet, *words, "--out", str(runs_dir / LAYERS), "--json"]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    commands = ["lenet train d2l-relu", f"lenet {shlex.join(words)}"]
    result = {"commands": commands, **found, "machine": describe_machine()}
    (RESULTS / f"{LAYERS}.json").write_text(json.dumps(result, indent=1) + "\n")
    shutil.copyfile(found["figures"][0], FIGURES / f"{LAYERS}.png")


def write_page() -> str:
    """The page, from the results that are there, in the order of the studies."""
    parts, machine = [HEAD], None
    for name in STUDIES:
        file = RESULTS / f"{name}.json"
        if file.exists():
            result = json.loads(file.read_text("utf-8"))
            parts.append(show(result))
            machine = result["machine"]
    parts.append(show_layers(json.loads((RESULTS / f"{LAYERS}.json").read_text("utf-8"))))
    if machine is not None:
        parts.append(
            f"Measured on {machine['processor']}, Python {machine['python']}, torch {machine['torch']}, one "
            "thread a training; `benchmarks/results/studies/` holds every run's figure.\n"
        )
    return "\n".join(parts)


def show(result: dict[str, Any]) -> str:
    """One study: question, command, table, figure, conclusion."""
    comparison = Comparison.from_dict(result)
    conditions = comparison.conditions
    rows = [["variant", *conditions], ["---"] * (1 + len(conditions))]
    rows += [[v.label, *(v.write(name) for name in conditions)] for v in comparison.variants]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    about = f"{comparison.about} " if comparison.about else ""
    epochs = "" if comparison.study == "epochs" else f", {comparison.epochs} epochs"
    return f"""## {comparison.question}

```console
{result["command"]}
```

{about}{comparison.data}{epochs}, {comparison.seeds} seeds.

{table}

![{comparison.question}](studies/{comparison.study}.png)

{comparison.conclusion}
"""


def show_layers(result: dict[str, Any]) -> str:
    """The comparison of two classes: command, figure, and what tells them apart."""
    commands = "\n".join(result["commands"])
    one, other = (name.lower() for name in result["classes"])
    count, others = result["count"]
    sentences = []
    for layer, maps in result["layers"].items():
        apart = ", ".join(f"{row['map']} ({row['distance']:.2f})" for row in maps[:3])
        silent = sum(row["distance"] == 0 for row in maps)
        sentences.append(
            f"in {layer} it is maps {apart}"
            + f"; {silent} of its {len(maps)} maps answer to neither" * (silent > 0)
        )
    found = "; ".join(sentences)
    return f"""## What do the first and the second layer make of a pullover and a coat?

```console
{commands}
```

![The first two layers' maps for a {one} and a {other}, and where they differ](studies/{LAYERS}.png)

The first layer answers to edges and areas of cloth, and the outline can still be seen; the second to coarser
parts. On the right, the mean over {count:,} {one}s minus the mean over {others:,} {other}s. What tells the
two apart most, by the distance of the means in standard deviations: {found}. No single map decides; the dense
layers add up what many say.
"""


if __name__ == "__main__":
    main()
