"""From nothing to reading pictures, with the data set that comes with the install.

    make demo

Trains the recipe `quick` on scikit-learn's 1,437 training digits, measures it on the 360 test digits, and
reads the pictures beside this file, once with that network and once with the weights that come with lenet.
"""

from pathlib import Path

from lenet import (
    RECIPES,
    Reader,
    begin_run,
    draw_hardest,
    draw_steps,
    evaluate,
    keep_curves,
    load,
    load_data,
    run_training,
    show_progress,
    summarise_run,
)

PICTURES = sorted((Path(__file__).parent / "pictures").glob("[0-9]*"))

run = begin_run(RECIPES["quick"])
for _ in show_progress(keep_curves(run_training(run), run)):
    pass
summary = summarise_run(run)
print(f"\n{summary.epochs} epochs in {summary.seconds:.1f} s, test accuracy {summary.test_accuracy:.2%}")

digits = load_data("digits", "test")
draw_hardest(evaluate(load(run.last), digits), digits, run.path / "hardest.png")
just_trained, shipped = Reader(load(run.last)), Reader(load("reader"))
draw_steps(just_trained.explain(PICTURES[0])[1], run.path / "steps.png", PICTURES[0].name)

print(f"\n{'picture':24}{'just trained':16}shipped weights")
for picture in PICTURES:
    readings = [reader.read(picture) for reader in (just_trained, shipped)]
    texts = [f"{reading.text} ({reading.confidence:.0%})" for reading in readings]
    print(f"{picture.name:24}{texts[0]:16}{texts[1]}")
print()
for figure in ("curves.png", "hardest.png", "steps.png"):
    print(f"look at {run.path / figure}")
print("next: .venv/bin/lenet --help")
