"""Run the studies and write docs/studies.md and docs/studies.zh.md from their results.

python benchmarks/studies.py pooling kernel-size     (without names: all; finished runs are kept)
python benchmarks/studies.py --page                  (the pages alone, from the existing results)

No number is typed by hand.
"""

import argparse
import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from lenet.bench.machine import describe_machine
from lenet.experiments.comparison import Comparison, Variant, conclude
from lenet.experiments.studies import STUDIES

sys.path.append(str(Path(__file__).parents[1] / "docs"))
from catalogue import Say, translate

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "studies"
PAGE = ROOT / "docs" / "studies.md"
FIGURES = ROOT / "docs" / "studies"
SEEDS = "5"

HEAD = """# Studies

These studies answer the exercises that the textbook chapter and the tutorials leave open. Each section
contains the command, a table, a plot, and a conclusion that is computed from the table. The values are mean
± standard deviation over the seeds, in percent of the test images, after the last epoch. Test images select
no epoch and no setting.

Two variants differ *beyond the spread* if Welch's t-test is significant at 5 %, divided by the number of
comparisons in the study. The other variants are compared with the first one. The trainings are short, so
that a study takes minutes; [the results page](results.md) contains longer trainings.

A study trains in one process a core, with one thread each, and writes ordinary run folders. If it is
killed, the same command keeps the finished runs. `lenet study` lists the studies. `--seeds`, `--epochs` and
`--data` change them:

```sh
lenet study pooling --data digits --epochs 2 --seeds 2
```

`--over` compares other settings. Lists of values are tried in every combination, with several seeds each:

```sh
lenet study --over activation=relu,tanh hidden=120-84,64 --epochs 1 --seeds 2
```

Ranges are searched with a given number of trials. Images held out of training evaluate the trials, and
trials that perform badly are stopped early. A SQLite file stores the trials, so that the same command
resumes after a kill. With `--storage postgresql://…`, several processes and machines share a search.

```sh
lenet study --over lr=0.0001:0.1:log hidden=120-84,64 --trials 4 --epochs 2
```

A search needs the extra `study`. In a checkout: `pip install '.[study]'`.
"""

LAYERS = "pullover-and-coat"
MAPS = (
    "The first layer responds to edges and areas, and its maps still show the outline. The second layer "
    "responds to\nlarger parts. The right side shows the mean over {count:,} {one}s minus the mean over "
    "{others:,} {other}s.\nThe maps that separate the two classes best have the largest distance of the "
    "means, in standard deviations.\n{found} No single map separates the classes; the dense layers combine "
    "many maps."
)
MACHINE = (
    "Processor: {processor}; commit: {commit}; Python {python}, torch {torch}; one thread a training. "
    "`benchmarks/results/studies/` holds the value of every run."
)
MEASURED = re.compile(r"'[^']*'|\b[a-z]+\d\b|\b\d+(?:\.\d+)?(?:e-\d+)?\b")  # class, layer, number


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", help="studies; all of them by default")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    parser.add_argument("--page", action="store_true", help="run nothing, write the pages")
    given = parser.parse_args()
    if not given.page:
        for name in given.names or [*STUDIES, LAYERS]:
            if name == LAYERS:
                compare_layers(given.runs_dir)
            else:
                run_study(name, given.runs_dir)
    PAGE.write_text(write_page(), "utf-8")
    PAGE.with_suffix(".zh.md").write_text(translate("docs/studies.md", write_page), "utf-8")
    print(PAGE)


def run_study(name: str, runs_dir: Path) -> None:
    """Run one study with its command, and keep its values and its plot."""
    words = ["study", name, "--seeds", SEEDS]
    command = [sys.executable, "-m", "lenet", *words, "--runs-dir", str(runs_dir), "--json", "--quiet"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result = {"command": f"lenet {' '.join(words)}", **json.loads(done.stdout), "machine": describe_machine()}
    RESULTS.mkdir(parents=True, exist_ok=True)
    FIGURES.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    shutil.copyfile(runs_dir / "studies" / f"{name}.png", FIGURES / f"{name}.png")


def compare_layers(runs_dir: Path) -> None:
    """Compare the first two layers for a pullover and a coat, and keep the values and the plot."""
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


def write_page(say: Say = str) -> str:
    """The page, from the existing results, in the order of the studies."""
    head = (text if text.startswith("```") else say(text) for text in HEAD.strip().split("\n\n"))
    parts, machine = ["\n\n".join(head) + "\n"], None
    for name in STUDIES:
        file = RESULTS / f"{name}.json"
        if file.exists():
            result = json.loads(file.read_text("utf-8"))
            parts.append(show(result, say))
            machine = result["machine"]
    parts.append(show_layers(json.loads((RESULTS / f"{LAYERS}.json").read_text("utf-8")), say))
    if machine is not None:
        processor = str(machine["processor"])
        if ", family " not in processor:  # older results have the name alone
            processor = say("{processor}, family and model not recorded").format(processor=processor)
        machine = {**machine, "processor": processor, "commit": machine.get("commit") or say("not recorded")}
        parts.append(say(MACHINE).format(**machine) + "\n")
    return "\n".join(parts)


def show(result: dict[str, Any], say: Say) -> str:
    """One study: question, command, table, plot, conclusion."""
    comparison = translate_comparison(Comparison.from_dict(result), say)
    conditions = comparison.conditions
    rows = [[say("variant"), *conditions], ["---"] * (1 + len(conditions))]
    rows += [[v.label, *(v.write(name) for name in conditions)] for v in comparison.variants]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    about = f"{comparison.about} " if comparison.about else ""
    several = comparison.study == "epochs"  # numbers of epochs are its variants
    size = say("{data}, {seeds} seeds." if several else "{data}, {epochs} epochs, {seeds} seeds.")
    return f"""## {comparison.question}

```console
{result["command"]}
```

{about}{size.format(**vars(comparison))}

{table}

![{comparison.question}](studies/{comparison.study}.png)

{conclude(comparison, say)}
"""


def translate_comparison(comparison: Comparison, say: Say) -> Comparison:
    """The comparison with its question, notes, labels, conditions and reasons in the language of `say`."""
    return replace(
        comparison,
        question=say(comparison.question),
        about=comparison.about and say(comparison.about),
        variants=tuple(translate_variant(variant, say) for variant in comparison.variants),
    )


def translate_variant(variant: Variant, say: Say) -> Variant:
    """The variant with its words in the language of `say`; its values stay as they are."""
    return replace(
        variant,
        label=say(variant.label) if any(map(str.isalpha, variant.label)) else variant.label,
        accuracies={say(name): shares for name, shares in variant.accuracies.items()},
        answers={say(name): answers for name, answers in variant.answers.items()},
        failures=tuple(translate_reason(reason, say) for reason in variant.failures),
    )


def translate_reason(reason: str, say: Say) -> str:
    """A diagnosis in the language of `say`: the message has a placeholder for each measured value."""
    return say(MEASURED.sub("{}", reason)).format(*MEASURED.findall(reason))


def show_layers(result: dict[str, Any], say: Say) -> str:
    """The comparison of two classes: command, plot, and the maps that separate them."""
    commands = "\n".join(result["commands"])
    one, other = (say(name.lower()) for name in result["classes"])
    count, others = result["count"]
    sentences = []
    for layer, maps in result["layers"].items():
        apart = say(", ").join(say("{map} ({distance:.2f})").format(**row) for row in maps[:3])
        sentences.append(say("In {layer} these are the maps {maps}.").format(layer=layer, maps=apart))
        if zero := sum(row["distance"] == 0 for row in maps):
            silent = say("{count} of its {maps} maps do not respond to either class.")
            sentences.append(silent.format(count=zero, maps=len(maps)))
    values = {"one": one, "other": other, "count": count, "others": others, "found": " ".join(sentences)}
    title = say("How do the first and the second layer respond to a {one} and a {other}?").format(**values)
    figure = say("The first two layers' maps for a {one} and a {other}, and where they differ")
    return f"""## {title}

```console
{commands}
```

![{figure.format(**values)}](studies/{LAYERS}.png)

{say(MAPS).format(**values)}
"""


if __name__ == "__main__":
    main()
