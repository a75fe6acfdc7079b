(root, data) => {
  const { rounds, looks, words, plain } = data;
  const { make, fill, button, apart, modified } = globalThis.specdec;
  const short = (value) => (value >= 0.001 || value === 0 ? value.toFixed(3) : value.toExponential(1));

  const still = make("details", {}, make("summary", {}, words.all), ...root.childNodes);
  if (!rounds.length) return root.replaceChildren(make("div", { class: "head" }, data.head));

  // --- controls ---
  let now = 0, clock = null;
  const named = (word) => ({ "aria-label": word, title: word });
  const first = button("|◀", () => jump(0), named(words.first));
  const back = button("◀", () => jump(now - 1), named(words.back));
  const next = button("▶", () => jump(now + 1), named(words.next));
  const last = button("▶|", () => jump(rounds.length - 1), named(words.last));
  const play = button(words.play, () => (clock ? stop() : start()), named(words.play));
  const where = make("span", { class: "where" });
  const slider = make("input", { type: "range", min: 1, max: rounds.length, value: 1, "aria-label": words.title });
  slider.addEventListener("input", () => jump(slider.value - 1));
  const map = make("div", { class: "map", "aria-hidden": "true" });
  const pillars = rounds.map((round, i) => {
    const blocks = round.tokens.map((token) => make("i", { style: `background:${looks[token.look].edge}` }));
    const pillar = make("div", { title: String(i + 1) }, ...blocks);
    pillar.addEventListener("click", () => jump(i));
    return pillar;
  });
  map.append(...pillars);

  // --- the round on stage ---
  const told = make("div", { class: "told", "aria-live": "polite" });
  const list = make("ol");
  const written = make("div", { class: "written", dir: "auto", lang: "ja" });
  const beside = make("div", { class: "written beside", dir: "auto", lang: "ja" });
  const bar = (kind, value, random) => {
    const inside = [make("div", { class: kind, style: `width:${100 * Math.min(value, 1)}%` })];
    if (random !== undefined) inside.push(make("div", { class: "random", style: `left:${100 * random}%` }));
    return make("div", { class: "bar" }, ...inside);
  };
  const line = (name, kind, value, random) => [
    make("span", {}, name), bar(kind, value, random), make("span", { class: "number" }, short(value)),
  ];
  const seen = rounds.flatMap((round) => round.tokens.map((token) => token.target)).filter((value) => value !== undefined);
  const certain = seen.length > 0 && seen.every((value) => value === 0 || value === 1); // at temperature 0
  const sentence = (token) => {
    const judged = ["accepted", "rejected"].includes(token.look);
    if (judged && token.target === undefined) return looks[token.look].name;
    if (token.look === "discarded" && !rounds[now].tokens.some((other) => other.look === "rejected")) return words.ended;
    const word = words[`${token.look} ${certain ? "greedily" : seen.length ? "" : "untraced"}`] ?? words[token.look];
    if (!judged) return word;
    const [random, chance] = apart(token.random, token.chance, 3);
    return fill(word, { random, chance });
  };
  const row = (token) => {
    const chip = make("span", { class: "chip", lang: "ja", title: fill(words.token, token), style: looks[token.look].style }, token.text);
    const right = make("div", {}, make("div", { class: "fate" }, sentence(token)));
    if (token.target !== undefined) {
      const bars = [...line(words.target, "target", token.target), ...line(words.draft, "draft", token.draft)];
      if (token.look !== "discarded") bars.push(...line("min(1, t/d)", "chance", token.chance, token.random));
      right.append(make("div", { class: "bars", title: words.rule }, ...bars));
    }
    return make("li", {}, chip, right);
  };

  // --- time: the end of each round, and what plain decoding had written by then ---
  const ends = rounds.map(((sum) => (round) => (sum += round.ms))(data.start));
  const plainText = (until) => {
    let sum = plain.start, text = "";
    for (const step of plain.steps) {
      sum += step.ms;
      if (sum > until) break;
      text += step.adds;
    }
    return text;
  };
  const plainEnd = plain ? plain.steps.reduce((sum, step) => sum + step.ms, plain.start) : 0;
  const slowly = 12000 / Math.max(ends.at(-1), plainEnd); // a race of twelve seconds

  const go = (to) => {
    now = Math.max(0, Math.min(rounds.length - 1, Number(to)));
    const round = rounds[now];
    const count = (look) => round.tokens.filter((token) => token.look === look).length;
    const position = fill(words.round, { n: now + 1, of: rounds.length });
    slider.value = now + 1;
    where.textContent = position;
    for (const control of [first, back]) control.setAttribute("aria-disabled", now === 0);
    for (const control of [last, next]) control.setAttribute("aria-disabled", now === rounds.length - 1);
    told.textContent = fill(words.told, { accepted: count("accepted"), rejected: count("rejected"), ms: round.ms.toFixed(1) });
    slider.setAttribute("aria-valuetext", `${position}: ${told.textContent}`);
    list.replaceChildren(...round.tokens.map(row));
    if (!round.tokens.some((token) => token.target !== undefined) && round.tokens.length > 1)
      list.append(make("li", { class: "fate note" }, words.untraced));
    const before = rounds.slice(0, now).map((earlier) => earlier.adds).join("");
    written.replaceChildren(make("span", {}, before), make("mark", { style: "background:#bfe3ff;color:#0a2f66" }, round.adds));
    if (plain) beside.textContent = plainText(ends[now]);
    pillars.forEach((pillar, i) => pillar.toggleAttribute("data-now", i === now));
  };
  const say = (word) => {
    play.textContent = play.title = word;
    play.setAttribute("aria-label", word);
  };
  const stop = () => {
    cancelAnimationFrame(clock);
    clock = null;
    told.setAttribute("aria-live", "polite");
    say(words.play);
  };
  const start = () => {
    if (now === rounds.length - 1) go(0);
    const from = (now ? ends[now] : 0) * slowly, began = performance.now();
    told.setAttribute("aria-live", "off"); // a reader would be told of a round while the next one is shown
    say(words.pause);
    const tick = (time) => {
      const reached = (time - began + from) / slowly;
      while (now < rounds.length - 1 && ends[now + 1] <= reached) go(now + 1);
      if (plain) beside.textContent = plainText(reached);
      if (now === rounds.length - 1 && reached >= plainEnd) return stop();
      clock = requestAnimationFrame(tick);
    };
    clock = requestAnimationFrame(tick);
  };

  const jump = (to) => {
    if (clock) stop();
    go(to);
  };

  root.addEventListener("keydown", (event) => {
    const moves = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: rounds.length - 1 };
    if (!(event.key in moves) || modified(event) || still.contains(event.target)) return;
    event.preventDefault();
    jump(moves[event.key]);
  });

  root.setAttribute("role", "group");
  root.setAttribute("aria-label", words.title);
  const side = make("div", {}, make("h4", {}, words.text), written);
  if (plain) side.append(make("h4", {}, words.beside), beside);
  const foot = make("div", { class: "foot" });
  for (const [name, value] of data.foot)
    foot.append(make("div", {}, make("span", {}, name), " ", make("strong", {}, value)));
  root.replaceChildren(
    make("div", { class: "head" }, data.head),
    make("div", { class: "controls" }, first, back, next, last, play, where),
    slider, map, make("div", { class: "keys" }, words.keys),
    make("div", { class: "stage" }, make("div", { class: "card" }, told, list), side),
    foot, still,
  );
  go(0);
}
