// The reading: the digit, how sure the network is, its second guess, and the probability of every class.

const percent = (share) => `${(100 * share).toFixed(1)} %`;

/** Show what the networks read.
 * @param {import("lenet/texts.js").Texts} texts
 * @param {{name: string, network: any, result: any, decision: any}[]} answers one or two; the first is the answer
 * @param {boolean} isEmpty whether there is no ink
 * @param {import("lenet/sweep.js").LineReading | null} [line] what the line network reads, where it reads several digits
 */
export function showAnswer(texts, answers, isEmpty, line = null) {
  const { decision } = answers[0];
  const rejected = isEmpty || (decision.rejected && !line);
  setText("reading", rejected ? "" : (line?.text ?? decision.text));
  document.getElementById("reading")?.classList.toggle("several", Boolean(line) && !isEmpty);
  document.body.dataset.rejected = rejected ? "yes" : "no";
  if (isEmpty) {
    setText("verdict", texts.get("empty"));
    setText("second", "");
  } else if (line) {
    setText("verdict", texts.get("lineSure", { count: line.digits.length, share: percent(line.confidence) }));
    setText("second", texts.get("lineSecond"));
  } else if (decision.rejected) {
    const why = texts.get(`rejected.${decision.reason}`);
    setText("verdict", `${texts.get("rejected")}: ${why}.`);
    const best = { name: decision.text, share: percent(decision.confidence) };
    setText("second", decision.text ? texts.get("wouldBe", best) : "");
  } else {
    setText("verdict", texts.get("sure", { share: percent(decision.confidence) }));
    const { text: name, confidence } = decision.runnerUp;
    setText("second", texts.get("secondGuess", { name, share: percent(confidence) }));
  }
  showBars(texts, answers);
}

/** A row for each class, and one for the reject class; with two networks, two bars a row. */
function showBars(texts, answers) {
  const list = /** @type {HTMLElement} */ (document.getElementById("bars"));
  const { classes } = answers[0].network;
  const rejects = answers.some(({ network }) => network.config.reject_class);
  const names = rejects ? [...classes, texts.get("none")] : [...classes];
  const bars = names.length * answers.length;
  if (list.querySelectorAll("i").length !== bars || list.children.length !== names.length) {
    list.replaceChildren(
      ...names.map(() => {
        const row = document.createElement("li");
        row.append(document.createElement("b"));
        for (const _ of answers) row.append(document.createElement("i"), document.createElement("small"));
        return row;
      }),
    );
  }
  const best = answers.map(({ result }) => Math.max(...result.probabilities, result.reject));
  names.forEach((name, i) => {
    const parts = list.children[i].children;
    parts[0].textContent = name;
    answers.forEach(({ result, network }, k) => {
      const isReject = i === classes.length;
      const share = isReject ? (network.config.reject_class ? result.reject : 0) : result.probabilities[i];
      const bar = /** @type {HTMLElement} */ (parts[1 + 2 * k]);
      bar.style.setProperty("--share", String(share));
      bar.className = share === best[k] ? `best network-${k}` : `network-${k}`;
      parts[2 + 2 * k].textContent = percent(share);
    });
  });
}

function setText(id, text) {
  const element = /** @type {HTMLElement} */ (document.getElementById(id));
  if (element.textContent !== text) element.textContent = text;
}
