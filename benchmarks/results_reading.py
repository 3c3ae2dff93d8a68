"""Sections of the page of results: reading, rejection and promises, corruptions, one writer."""

from typing import Any

from results_text import Say, write_head, write_row


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


def show_readers(result: dict[str, Any], say: Say) -> str:
    head = say(
        "`{command}`: the pictures of single digits, read by each system in turn in one process on one core. "
        "Of what a system reads, only the digits count."
    ).format(**result)
    rows = write_head(map(say, ("system", "read correctly", "blind half", "ms for one picture")))
    for name, value in result["tables"]["digits"].items():
        cells = [f"{value[key]:.1%}" for key in ("right", "right, blind half")]
        rows.append(write_row([name, f"**{cells[0]}**", cells[1], f"{value['milliseconds']:.1f}"]))
    versions = say(", ").join(f"{name} {version}" for name, version in result["versions"].items())
    return "\n".join([head + "\n", *rows, "", say("Versions: {versions}.").format(versions=versions) + "\n"])


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
