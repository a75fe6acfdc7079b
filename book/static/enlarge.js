// A figure opens larger, and scrolls where that is wider than the screen; Esc, a click or the button closes it.
"use strict";
(() => {
  const words = document.currentScript.dataset;

  const button = (kind, label, sign) => {
    const made = document.createElement("button");
    made.type = "button";
    made.className = kind;
    made.title = label;
    made.setAttribute("aria-label", label);
    made.textContent = sign;
    return made;
  };

  const dialog = document.createElement("dialog");
  dialog.className = "enlarged";
  const sheet = document.createElement("div");
  dialog.append(button("close-figure", words.close, "×"), sheet);
  dialog.addEventListener("click", () => dialog.close());
  document.body.append(dialog);

  const open = (image) => {
    const copy = image.cloneNode();
    copy.style.setProperty("--drawn", `${image.naturalHeight}px`);
    dialog.setAttribute("aria-label", image.alt);
    sheet.replaceChildren(copy);
    dialog.showModal();
  };

  for (const image of document.querySelectorAll(".cell_output img:not(.specdec img)")) {
    const place = document.createElement("span");
    place.className = "figure";
    image.replaceWith(place);
    const larger = button("open-figure", words.open, "⤢");
    place.append(image, larger);
    for (const part of [image, larger]) part.addEventListener("click", () => open(image));
  }
})();
