// Finds the sections that hold every word asked for, and shows them with a line of their text.
"use strict";
(() => {
  const AROUND = 70;

  // The same length as the text, so that a place in one is a place in the other.
  const fold = (text) =>
    Array.from(text, (letter) => {
      const plain = letter.normalize("NFKC").toLowerCase();
      return plain.length === letter.length ? plain : letter;
    }).join("");

  const count = (text, word) => text.split(word).length - 1;

  const score = (section, words) => {
    const title = fold(section.titles.join(" "));
    const text = fold(section.text);
    let sum = 0;
    for (const word of words) {
      const found = 20 * count(title, word) + Math.min(count(text, word), 10);
      if (!found) return 0;
      sum += found;
    }
    return sum;
  };

  const marked = (text, words) => {
    const line = document.createElement("p");
    const plain = fold(text);
    let at = 0;
    while (at < text.length) {
      const next = words
        .map((word) => [plain.indexOf(word, at), word.length])
        .filter(([place]) => place >= 0)
        .sort((a, b) => a[0] - b[0] || b[1] - a[1])[0];
      const [place, length] = next ?? [text.length, 0];
      line.append(text.slice(at, place));
      if (length) {
        const mark = document.createElement("mark");
        mark.textContent = text.slice(place, place + length);
        line.append(mark);
      }
      at = place + length;
    }
    return line;
  };

  const excerpt = (text, words) => {
    const plain = fold(text);
    const places = words.map((word) => plain.indexOf(word)).filter((place) => place >= 0);
    const from = Math.max(0, Math.min(...places, text.length) - AROUND);
    const to = Math.min(text.length, from + 3 * AROUND);
    return (from ? "…" : "") + text.slice(from, to) + (to < text.length ? "…" : "");
  };

  const item = (section, words) => {
    const [page, title] = section.titles;
    const link = document.createElement("a");
    link.href = section.page + (section.anchor && `#${section.anchor}`);
    link.textContent = section.anchor ? `${page} › ${title}` : page;
    link.addEventListener("click", () => localStorage.setItem("sphinx_highlight_terms", words.join(" ")));
    const entry = document.createElement("li");
    entry.append(link, marked(excerpt(section.text, words), words));
    return entry;
  };

  const query = (new URLSearchParams(location.search).get("q") ?? "").trim();
  document.getElementById("book-query").value = query;
  const words = [...new Set(fold(query).split(/\s+/).filter(Boolean))];
  if (!words.length) return document.getElementById("book-query").focus();
  const found = bookSections
    .map((section) => [score(section, words), section])
    .filter(([points]) => points)
    .sort((a, b) => b[0] - a[0])
    .map(([, section]) => section);
  const told = document.getElementById("book-count");
  const saying = found.length ? told.dataset.found : told.dataset.nothing;
  told.textContent = saying.replace(/\{([01])\}/g, (_, which) => [found.length, query][which]);
  document.getElementById("book-results").append(...found.map((section) => item(section, words)));
})();
