"""From nothing to reading pictures, with the data set that comes with the install.

    make demo

Trains the recipe `quick` on scikit-learn's 1,437 training digits, measures it on the 360 test digits, and
reads the pictures beside this file, once with that network and once with the weights that come with lenet.
"""

from pathlib import Path

from lenet import RECIPES, Reader, evaluate, load, load_data
from lenet.cli.tables import align, show_run
from lenet.insight.plots.figures import draw_hardest, draw_steps
from lenet.insight.progress import keep_curves, show_progress
from lenet.training.runs import begin_run, run_training, summarise_run

PICTURES = sorted((Path(__file__).parent / "pictures").glob("[0-9]*"))

run = begin_run(RECIPES["quick"])
for _ in show_progress(keep_curves(run_training(run), run)):
    pass
print(f"\n{show_run(summarise_run(run))}")

digits = load_data("digits", "test")
draw_hardest(evaluate(load(run.last), digits), digits, run.path / "hardest.png")
just_trained, shipped = Reader(load(run.last)), Reader(load("reader"))
draw_steps(just_trained.explain(PICTURES[0])[1], run.path / "steps.png", PICTURES[0].name)

rows = [["picture", "just trained", "shipped weights"]]
for picture in PICTURES:
    readings = [reader.read(picture) for reader in (just_trained, shipped)]
    rows.append([picture.name, *(f"{reading.text} ({reading.confidence:.0%})" for reading in readings)])
print(f"\n{align(rows)}\n")
for figure in ("curves.png", "hardest.png", "steps.png"):
    print(f"look at {run.path / figure}")
print("next: .venv/bin/lenet --help")
