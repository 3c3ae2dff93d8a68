// The words of the page in its languages, from texts.json.

export const LANGUAGES = { en: "English", zh: "中文" };

export class Texts {
  /** @param {{[language: string]: {[key: string]: string}}} catalogue */
  constructor(catalogue, language = "en") {
    this.catalogue = catalogue;
    this.language = language in catalogue ? language : "en";
  }

  /** A text with {names} replaced by values. Raises no error: a key without a text shows itself.
   * @param {string} key
   * @param {{[name: string]: string | number}} [values]
   */
  get(key, values = {}) {
    const text = this.catalogue[this.language][key] ?? this.catalogue.en[key] ?? key;
    return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
  }

  /** Write every text of the page that stands in an attribute `data-text` or `data-label`. */
  apply() {
    document.documentElement.lang = this.language === "zh" ? "zh-CN" : "en";
    for (const element of document.querySelectorAll("[data-text]")) {
      element.textContent = this.get(/** @type {HTMLElement} */ (element).dataset.text ?? "");
    }
    for (const element of document.querySelectorAll("[data-label]")) {
      element.setAttribute("aria-label", this.get(/** @type {HTMLElement} */ (element).dataset.label ?? ""));
    }
  }
}

/** The language to begin with: the one asked for, else the reader's own where the page speaks it. */
export function chooseLanguage(asked, page, own = navigator.languages) {
  if (asked in LANGUAGES) return asked;
  if (page in LANGUAGES) return page;
  return own.some((each) => each.toLowerCase().startsWith("zh")) && !own[0]?.startsWith("en") ? "zh" : "en";
}
