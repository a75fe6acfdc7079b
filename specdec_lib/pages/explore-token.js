(root, data) => {
  const { make, fill, button, apart } = globalThis.specdec;
  const { word, line, rect, picture, chart, slider, figure, stage } = globalThis.specdecExplore;
  const { words, names, presets } = data;
  const now = { target: [...presets[0].target], draft: [...presets[0].draft] };
  const counts = { draws: 0, accepted: names.map(() => 0), replaced: names.map(() => 0) };
  const two = (value) => value.toFixed(2);
  const sum = (list) => list.reduce((total, value) => total + value, 0);

  // --- the rule ---
  const common = () => names.map((_, i) => Math.min(now.target[i], now.draft[i]));
  const above = (high, low) => names.map((_, i) => Math.max(0, high[i] - low[i]));
  const chance = (i) => Math.min(1, now.target[i] / now.draft[i]);
  const pick = (weights) => {
    let rest = Math.random() * sum(weights);
    const found = weights.findIndex((weight) => (rest -= weight) < 0);
    return found < 0 ? weights.findLastIndex((weight) => weight > 0) : found;
  };
  const play = () => {
    const drafted = pick(now.draft), random = Math.random();
    const accepted = random < chance(drafted);
    const missing = above(now.target, now.draft);
    const outcome = accepted ? drafted : pick(missing);
    counts.draws += 1;
    counts[accepted ? "accepted" : "replaced"][outcome] += 1;
    return { drafted, random, accepted, outcome };
  };

  // --- a column for each word: accepted, resampled on it, rejected on it; a solid line at the target ---
  const short = (name) => ([...name].length > 7 ? `${[...name].slice(0, 6).join("")}…` : name);
  const columns = (svg, parts, levels, name) => {
    const heights = parts.accepted.map((value, i) => value + parts.replaced[i]);
    const top = Math.max(...now.target, ...now.draft, ...heights) > 0.6 ? 1 : 0.6;
    const ys = Array.from({ length: top * 5 + 1 }, (_, i) => i / 5);
    const plane = chart(360, 250, [0, names.length, [], ""], [0, top, ys, name]);
    const step = plane.x(1) - plane.x(0), width = Math.min(44, step * 0.6);
    const shapes = [];
    const piece = (i, from, size, sign, ink, look) => {
      const [x, y, height] = [plane.x(i + 0.5) - width / 2, plane.y(from + size), plane.y(from) - plane.y(from + size)];
      if (height > 0) shapes.push(rect(x, y, width, height, look));
      const middle = { "text-anchor": "middle", "font-weight": "bold", fill: ink };
      if (height > 13) shapes.push(word(x + width / 2, y + height / 2 + 4, sign, middle));
    };
    names.forEach((each, i) => {
      piece(i, 0, parts.accepted[i], "✓", "#ffffff", { fill: "#2a788e" });
      piece(i, parts.accepted[i], parts.replaced[i], "＋", "#222222", { fill: "#b39ddb" });
      piece(i, parts.accepted[i], parts.rejected[i], "✗", "#d0573a", { fill: "#d0573a", "fill-opacity": 0.15, stroke: "#d0573a" });
      const middle = plane.x(i + 0.5), reach = width * 0.68;
      for (const [list, look] of levels)
        shapes.push(line([[middle - reach, plane.y(list[i])], [middle + reach, plane.y(list[i])]], { "stroke-width": 2.5, ...look }));
      shapes.push(word(middle, plane.bottom + 18, short(each), { "text-anchor": "middle", "font-size": 13 }));
    });
    svg.replaceChildren(...plane.ground, ...shapes);
  };
  const rule = picture(360, 250, { role: "img" }), drawn = picture(360, 250, { role: "img" });
  const none = names.map(() => 0);

  // --- sliders in a table: moving one word makes room among the others ---
  const move = (who, i, value) => {
    const list = now[who], rest = 1 - list[i];
    now[who] = list.map((old, j) => (j === i ? value : rest > 1e-9 ? (old * (1 - value)) / rest : (1 - value) / (list.length - 1)));
    restart();
  };
  const cell = (who, name, i) => {
    const range = { min: 0, max: 1, step: 0.01, value: now[who][i] };
    return slider(fill(words[`${who}_of`], { word: name }), range, two, (value) => move(who, i, value));
  };
  const rows = names.map((name, i) => ({
    target: cell("target", name, i), draft: cell("draft", name, i), chance: make("td"), residual: make("td"),
  }));
  const head = (name, wide) => make("th", { scope: "col", ...(wide ? { class: "wide" } : {}) }, name);
  const inside = ({ input, output }) => make("label", {}, output, input);
  const table = make("table", { class: "words" },
    make("thead", {}, make("tr", {}, head(words.word), head(words.target, true), head(words.draft, true), head(words.chance), head(words.residual))),
    make("tbody", {}, ...rows.map((row, i) => {
      const cells = ["target", "draft"].map((who) => make("td", { class: who }, inside(row[who])));
      return make("tr", {}, make("th", { scope: "row" }, names[i]), ...cells, row.chance, row.residual);
    })));
  const alpha = make("div", { class: "alpha" });
  const said = make("p", { class: "said", "aria-live": "polite" });

  const show = () => {
    const accepted = common(), replaced = above(now.target, now.draft), rejected = above(now.draft, now.target);
    const overlap = sum(accepted), missing = sum(replaced);
    rows.forEach((row, i) => {
      row.target.set(now.target[i]);
      row.draft.set(now.draft[i]);
      row.chance.textContent = now.draft[i] > 0 ? two(chance(i)) : "–";
      row.residual.textContent = missing > 1e-9 ? two(replaced[i] / missing) : "–";
    });
    alpha.textContent = fill(words.overlap, { alpha: two(overlap), rest: two(missing) });
    const levels = [[now.target, {}], [now.draft, { stroke: "#c07f16", "stroke-dasharray": "5 3" }]];
    columns(rule, { accepted, replaced, rejected }, levels, words.probability);
    rule.setAttribute("aria-label", alpha.textContent);
    const share = (list) => list.map((count) => count / Math.max(counts.draws, 1));
    const came = { accepted: share(counts.accepted), replaced: share(counts.replaced), rejected: none };
    columns(drawn, came, levels.slice(0, 1), words.share);
    drawn.setAttribute("aria-label", names.map((name, i) => `${name}: ${two(came.accepted[i] + came.replaced[i])}`).join(", "));
  };
  const one = () => {
    const { drafted, random, accepted, outcome } = play();
    const [shown, limit] = apart(random, chance(drafted), 2);
    const values = { word: names[drafted], other: names[outcome], random: shown, chance: limit };
    said.textContent = fill(accepted ? words.accepted : words.rejected, values);
    show();
  };
  const many = () => {
    for (let i = 0; i < 1000; i++) play();
    const { draws, accepted, replaced } = counts;
    const far = Math.max(...names.map((_, i) => Math.abs((accepted[i] + replaced[i]) / draws - now.target[i])));
    const values = { draws, share: two(sum(accepted) / draws), alpha: two(sum(common())), far: far.toFixed(3) };
    said.textContent = fill(words.many, values);
    show();
  };
  const restart = () => {
    Object.assign(counts, { draws: 0, accepted: [...none], replaced: [...none] });
    said.textContent = words.start;
    show();
  };

  const choose = ({ target, draft }) => {
    Object.assign(now, { target: [...target], draft: [...draft] });
    restart();
  };
  stage(root, data,
    make("div", { class: "buttons", role: "group", "aria-label": words.presets },
      ...presets.map((preset) => button(preset.name, () => choose(preset)))),
    table, alpha,
    make("div", { class: "pictures" }, figure(words.rule, rule), figure(words.drawn, drawn)),
    make("p", { class: "key" }, words.key),
    make("div", { class: "buttons" }, button(words.one, one), button(words.thousand, many), button(words.again, restart)),
    said,
  );
  restart();
}
