// The search, in the place of the one of properdocs: that one loses Chinese characters and needs a server.
// Words are found as before. Chinese, which has no spaces, is indexed and searched as pairs of characters.

const WORDS = /\p{Script=Han}+|(?:(?!\p{Script=Han})[\p{L}\p{M}\p{N}_])+(?:[.,]\p{N}+)*/gu;
const HAN = /^\p{Script=Han}/u;
const own = document.documentElement.lang.startsWith("zh");
const indexes = new Map();
let loading, input, list;

// The terms of a text. In an index, the last character of Chinese is a term, too: a single one is searched as 层*.
function splitWords(text, isQuery) {
  return [...String(text ?? "").matchAll(WORDS)].flatMap(([word]) => {
    if (!HAN.test(word)) return [word.toLowerCase()];
    const characters = [...word];
    const pairs = characters.map((character, place) => character + (characters[place + 1] ?? ""));
    return isQuery && pairs.length > 1 ? pairs.slice(0, -1) : pairs;
  });
}

function load(path) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    Object.assign(script, { src: `${base_url}/${path}`, onload: resolve, onerror: reject });
    document.head.append(script);
  });
}

// The index of one language, made when it is first searched. A page stands before its sections, with all their text;
// its first section, which has the title of the page, would be the same result once more.
function findIndex(chinese) {
  if (!indexes.has(chinese)) {
    const isSection = ({ location }) => location.includes("#");
    const pages = searchIndex.docs
      .filter((page, place, all) => !isSection(page) || isSection(all[place - 1]))
      .filter((page) => /\.zh\.html/.test(page.location) === chinese);
    const index = lunr(function () {
      this.tokenizer = (text) => splitWords(text, false).map((word) => new lunr.Token(word));
      this.pipeline.remove(lunr.trimmer);
      this.ref("location");
      this.field("title");
      this.field("text");
      pages.forEach((page) => this.add(page));
    });
    indexes.set(chinese, { index, pages: new Map(pages.map((page) => [page.location, page])) });
  }
  return indexes.get(chinese);
}

function search(words, chinese) {
  const { index, pages } = findIndex(chinese);
  const found = index.query((query) => {
    for (const word of words) {
      const single = HAN.test(word) && [...word].length === 1;
      query.term(word, single ? { wildcard: lunr.Query.wildcard.TRAILING, usePipeline: false } : {});
    }
  });
  return found.map(({ ref }) => ({ ...pages.get(ref), page: pages.get(ref.split("#")[0]).title }));
}

function show(results, words) {
  list.replaceChildren();
  for (const { title, page, text, location } of results) {
    const article = document.createElement("article");
    article.innerHTML = "<h3><a></a></h3><p></p>";
    const link = article.querySelector("a");
    link.href = `${base_url}/${location}`;
    link.textContent = title === page ? title : `${page} › ${title}`;
    const place = Math.max(0, ...words.map((word) => text.toLowerCase().indexOf(word) - 60));
    article.querySelector("p").textContent = `${place ? "…" : ""}${text.slice(place, place + 200)}`;
    list.append(article);
  }
  if (!results.length) list.textContent = list.dataset.noResultsText;
}

async function answer() {
  loading ??= Promise.all(["search/lunr.js", "search/search_index.js"].map(load));
  await loading;
  const words = splitWords(input.value, true);
  const long = words.filter((word) => word.length > 2 || HAN.test(word));
  const results = long.length ? search(words, own) : [];
  show(results.length || !long.length ? results : search(words, !own), words);
}

document.addEventListener("DOMContentLoaded", () => {
  input = document.getElementById("properdocs-search-query");
  list = document.getElementById("properdocs-search-results");
  input.addEventListener("input", answer);
  input.form.addEventListener("submit", (event) => event.preventDefault());
  input.value = new URLSearchParams(location.search).get("q") ?? "";
  if (input.value) answer();
});
