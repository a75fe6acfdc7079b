(root, data) => {
  const { make, fill } = globalThis.specdec;
  const { word, line, rect, picture, scale, slider, choice, stage } = globalThis.specdecExplore;
  const { words, sessions } = data;
  const now = { ...data.start };
  const session = () => sessions[now.session];
  const rounds = () => session().drafts[now.draft].rounds;
  const round = () => rounds()[now.place];
  const names = () => session().drafts.map(({ name }) => name);
  const ms = (value) => value.toFixed(value < 10 ? 2 : 1);

  // --- controls ---
  const change = (news) => {
    const { name } = session().drafts[now.draft];
    Object.assign(now, news);
    if ("session" in news) {
      now.draft = Math.max(0, session().drafts.findIndex((draft) => draft.name === name));
      who.offer(names());
      who.select.value = now.draft;
    }
    now.place = Math.min(now.place, rounds().length - 1);
    k.input.max = rounds().length - 1;
    k.set(now.place);
    show();
  };
  const where = choice(words.session, sessions.map(({ name }) => name), (chosen) => change({ session: chosen }));
  const who = choice(words.draft, names(), (chosen) => change({ draft: chosen }));
  where.select.value = now.session;
  who.select.value = now.draft;
  const places = { min: 0, max: rounds().length - 1, step: 1, value: now.place };
  const k = slider(words.k, places, (place) => `k = ${rounds()[place].k}`, (place) => change({ place }));

  // --- two lanes over one time axis ---
  const time = make("div", { class: "time" });
  const verdict = make("div", { class: "verdict" });
  const said = make("p", { class: "said", "aria-live": "polite" });
  const box = (x, y, width, sign, fill_, ink) => [
    rect(x, y, Math.max(width, 0.5), 28, { fill: fill_, stroke: "#ffffff", "stroke-width": width > 3 ? 1 : 0.4 }),
    ...(width > 8 * sign.length + 4 ? [word(x + width / 2, y + 19, sign, { fill: ink, "text-anchor": "middle" })] : []),
  ];
  const steps = (span) => [0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find((step) => span / step <= 6) ?? span / 4;

  const lanes = (width) => {
    const { k: drafted, plain, draft, verify, round: whole, tokens } = round();
    const [left, right] = [6, width - 14];
    const x = scale(0, session().span, left, right);
    const shapes = [];
    const lane = (y, name) => shapes.push(word(left, y, name, { "font-weight": "bold" }));
    const near = (spot, y, text) => word(Math.min(Math.max(spot, 76), width - 80), y, text, { "text-anchor": "middle" });

    lane(14, words.plain);
    for (let i = 0; i * plain < Math.max(whole, tokens * plain); i++)
      shapes.push(...box(x(i * plain), 40, Math.min(x((i + 1) * plain), width) - x(i * plain), String(i + 1), "#b8c4cc", "#222222"));
    const [reached, done] = [x(tokens * plain), x(whole)];
    shapes.push(near(reached, 34, fill(words.done, { tokens: tokens.toFixed(2), ms: ms(tokens * plain) })));

    lane(104, fill(words.round, { k: drafted }));
    for (let i = 0; i < drafted; i++)
      shapes.push(...box(x((i * draft) / drafted), 112, x(draft / drafted) - left, "d", "#e0a030", "#222222"));
    shapes.push(...box(x(draft), 112, x(verify) - left, "v", "#2a788e", "#ffffff"));
    if (whole > draft + verify) shapes.push(...box(x(draft + verify), 112, done - x(draft + verify), "r", "#9a9a9a", "#222222"));
    shapes.push(line([[left, 146], [left, 150], [done, 150], [done, 146]], { "stroke-width": 1.5 }));
    shapes.push(near(done, 168, fill(words.done, { tokens: tokens.toFixed(2), ms: ms(whole) })));

    const ahead = whole < tokens * plain, colour = ahead ? "#2a788e" : "#d0573a";
    shapes.push(line([[reached, 40], [reached, 90]], { stroke: colour, "stroke-width": 2, "stroke-dasharray": "4 3" }));
    shapes.push(line([[done, 78], [done, 150]], { stroke: colour, "stroke-width": 2 }));
    shapes.push(line([[reached, 84], [done, 84]], { stroke: colour, "stroke-width": 5 }));

    shapes.push(line([[left, 186], [right, 186]]));
    const step = steps(session().span);
    for (let t = 0; t <= session().span + 1e-9; t += step)
      shapes.push(line([[x(t), 186], [x(t), 191]]), word(x(t), 204, String(Number(t.toFixed(2))), { "text-anchor": t ? "middle" : "start" }));
    shapes.push(word(right, 220, words.axis, { "text-anchor": "end" }));
    return picture(width, 224, { width, height: 224, role: "img", "aria-label": `${verdict.textContent} ${said.textContent}` }, ...shapes);
  };

  let drawn = 0;
  const show = () => {
    const { plain, draft, verify, round: whole, tokens, k: drafted } = round();
    const gain = (tokens * plain) / whole;
    const certainty = Math.abs(gain - 1) <= data.close ? words.close : "";
    verdict.textContent = fill(gain > 1 ? words.ahead : words.behind, { times: gain.toFixed(2) }) + certainty;
    const alpha = session().drafts[now.draft].alpha.toFixed(2);
    const values = { k: drafted, alpha, whole: ms(whole), tokens: tokens.toFixed(2), each: ms(whole / tokens), plain: ms(plain) };
    said.textContent = fill(words.said, values) + (draft + verify > whole ? words.apart : "");
    drawn = Math.max(300, root.clientWidth || 360);
    time.replaceChildren(lanes(drawn));
  };

  stage(root, data, make("div", { class: "controls" }, where.node, who.node, k.node), verdict, time, make("p", { class: "key" }, words.key), said);
  show();
  new ResizeObserver(() => root.clientWidth && root.clientWidth !== drawn && show()).observe(root);
}
