(root, data) => {
  const { make, fill, modified } = globalThis.specdec;
  const { draw, word, line, picture, chart, slider, choice, figure, stage } = globalThis.specdecExplore;
  const { words, sessions, paper, levels, dearest } = data;
  const ks = sessions[0].v.map((_, k) => k).slice(1);
  const now = { ...data.start, session: 0, point: null };

  // --- the formula; k = 0 is plain decoding ---
  const tokens = (alpha, k) => Array.from({ length: k + 1 }, (_, i) => alpha ** i).reduce((sum, term) => sum + term);
  const v = (k) => (now.measured ? sessions[now.session].v[k] : 1 + now.extra * k);
  const speedup = (alpha, k, c) => tokens(alpha, k) / (v(k) + k * c);
  const best = (alpha, c) => ks.reduce((most, k) => (speedup(alpha, k, c) > speedup(alpha, most, c) ? k : most));
  const contour = (alpha, level) => Math.max(...ks.map((k) => (tokens(alpha, k) / level - v(k)) / k)); // c of a best speed-up

  // --- controls ---
  const two = (value) => value.toFixed(2);
  const free = { min: 0, max: 0.3, step: 0.01, value: 0 };
  const sliders = {
    alpha: slider(words.alpha, { min: 0, max: 0.99, step: 0.01, value: now.alpha }, two, (alpha) => change({ alpha, point: null })),
    c: slider(words.c, { min: 0, max: dearest, step: 0.005, value: now.c }, (c) => c.toFixed(3), (c) => change({ c, point: null })),
    k: slider(words.k, { min: 1, max: ks.length, step: 1, value: now.k }, (k) => `k = ${k}`, (k) => change({ k })),
    extra: slider(words.extra, free, two, (extra) => change({ extra, measured: false })),
  };
  const session = choice(words.session, sessions.map(({ name }) => name), (chosen) => {
    change({ session: chosen, point: null });
    pins();
  });
  const measured = make("input", { type: "checkbox" });
  measured.addEventListener("change", () => change({ measured: measured.checked }));

  // --- the map of best speed-ups ---
  const tenths = (last, step) => Array.from({ length: Math.round(last / step) + 1 }, (_, i) => Number((i * step).toFixed(1)));
  const land = chart(360, 300, [0, 1, tenths(1, 0.2), words.alpha_axis], [0, dearest, tenths(dearest, 0.2), words.c_axis]);
  const bands = draw("g"), here = draw("g", { "pointer-events": "none" }), points = draw("g");
  const map = picture(360, 300, { class: "map", role: "group", "aria-label": words.map }, bands, ...land.ground, here, points);
  const paint = () => {
    bands.replaceChildren(word(land.left + 8, land.top + 16, words.slower, { "font-style": "italic", opacity: 0.85 }));
    for (const level of levels) {
      const reach = Array.from({ length: 101 }, (_, i) => [i / 100, contour(i / 100, level)]);
      const edge = reach.filter(([, c]) => c >= 0).map(([a, c]) => [land.x(a), land.y(Math.min(c, dearest))]);
      if (edge.length < 2) continue;
      const inside = edge.filter(([, y]) => y > land.top);
      const ground = [[edge[0][0], land.bottom], ...edge, [land.right, land.bottom]];
      const shore = line(ground, { stroke: "none", fill: "#2a788e", "fill-opacity": 0.16 });
      const [x, y] = inside.at(-1) ?? edge.at(-1);
      const above = x < land.right;
      const name = word(above ? x : x + 4, above ? land.top - 4 : y + 4, `×${level}`, { "text-anchor": above ? "middle" : "start" });
      bands.append(shore, line(inside, { stroke: "#2a788e", "stroke-width": level === 1 ? 2.5 : 1 }), name);
    }
  };
  const steer = (event) => {
    if (event.buttons !== 1 || event.target.closest(".pin")) return;
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(map.getScreenCTM().inverse());
    const alpha = (x - land.left) / (land.right - land.left);
    const c = ((land.bottom - y) / (land.bottom - land.top)) * dearest;
    if (alpha >= 0 && alpha <= 1 && c >= 0 && c <= dearest) change({ alpha: Math.min(alpha, 0.99), c, point: null });
  };
  map.addEventListener("pointerdown", steer);
  map.addEventListener("pointermove", steer);

  // --- measured points: one stop of the Tab key, arrow keys between them ---
  const spot = ({ alpha, c }) => [land.x(alpha), land.y(Math.min(c, dearest))];
  const beside = ([x, y], text, taken) => { // the first of four places for a name where nothing lies yet
    const wide = 6.5 * text.length;
    const places = [[8, -5, "start"], [-8, -5, "end"], [8, 13, "start"], [-8, 13, "end"]].map(([dx, dy, anchor]) => ({
      x: x + dx, y: y + dy, anchor, box: [x + dx - (anchor === "end" ? wide : 0), y + dy - 9, wide, 10],
    }));
    const apart = ([ax, ay, aw, ah], [bx, by, bw, bh]) => ax + aw < bx || bx + bw < ax || ay + ah < by || by + bh < ay;
    const place = places.find(({ box }) => taken.every((other) => apart(box, other))) ?? places[0];
    taken.push(place.box);
    return word(place.x, place.y, text, { "font-size": 10, "text-anchor": place.anchor });
  };
  const pin = (point, taken) => {
    const [x, y] = spot(point);
    const shape = point.here
      ? draw("path", { d: `M${x} ${y - 6}l6 6l-6 6l-6 -6z`, fill: "#e0a030", stroke: "#222222" })
      : draw("circle", { cx: x, cy: y, r: 5, fill: "#ffffff", stroke: "#222222", "stroke-width": 1.5 });
    const hit = draw("circle", { class: "reach", cx: x, cy: y, r: 13, fill: "transparent" });
    const name = beside([x, y], point.mark, taken);
    const looks = { class: "pin", role: "button", tabindex: -1, "aria-label": point.said };
    const node = draw("g", looks, draw("title", {}, point.said), hit, shape, name);
    const choose = () => change({ point, alpha: point.alpha, c: point.c, k: point.k, extra: 0, measured: point.here });
    for (const reached of ["pointerenter", "focus", "click"]) node.addEventListener(reached, choose);
    return node;
  };
  const pins = () => {
    const all = [...paper, ...sessions[now.session].points];
    const taken = all.map(spot).map(([x, y]) => [x - 6, y - 6, 12, 12]);
    points.replaceChildren(...all.map((point) => pin(point, taken)));
    points.firstChild.setAttribute("tabindex", 0);
  };
  points.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const all = [...points.children];
    const next = step && all.at((all.indexOf(event.target) + step) % all.length);
    if (!next || modified(event)) return;
    event.preventDefault();
    for (const node of all) node.setAttribute("tabindex", node === next ? 0 : -1);
    next.focus();
  });

  // --- the curve over k ---
  const curve = picture(360, 300, { role: "img" });
  const trace = () => {
    const { alpha, c, k, point } = now;
    const found = point ? point.measured : [];
    const highest = Math.max(...ks.map((each) => speedup(alpha, each, c)), ...found.map(([, value]) => value));
    const top = [2, 3, 4, 6, 8, 14].find((limit) => limit > highest);
    const every = top > 4 ? 2 : top > 2 ? 1 : 0.5;
    const across = [0, ks.length, [0, ...ks.filter((each) => each % 2 === 0)], words.k_axis];
    const plane = chart(360, 300, across, [0, top, tenths(top, every), words.speedup_axis, (value) => `×${value}`]);
    const at = (each, value) => [plane.x(each), plane.y(value)];
    const shapes = [line([at(0, 1), at(ks.length, 1)], { "stroke-dasharray": "2 3" }), word(plane.right + 4, plane.y(1) + 4, words.plain)];
    if (point && !point.here) {
      const law = ks.map((each) => at(each, (1 + alpha) / (1 + each * c)));
      shapes.push(line(law, { stroke: "#d0573a", "stroke-width": 1.5, "stroke-dasharray": "6 4" }));
      shapes.push(word(plane.right, plane.y(top) + 12, words.frozen, { "text-anchor": "end", fill: "#d0573a" }));
    }
    shapes.push(line([at(0, 1), ...ks.map((each) => at(each, speedup(alpha, each, c)))], { stroke: "#2a788e", "stroke-width": 2.5 }));
    for (const [each, value] of found) {
      const [x, y] = at(each, value);
      shapes.push(draw("path", { d: `M${x} ${y - 5}l5 5l-5 5l-5 -5z`, fill: "#e0a030", stroke: "#222222" }));
    }
    const [x, y] = at(k, speedup(alpha, k, c));
    shapes.push(line([[x, plane.bottom], [x, y]], { "stroke-dasharray": "2 3" }));
    shapes.push(draw("circle", { cx: x, cy: y, r: 7, fill: "none", stroke: "currentColor", "stroke-width": 2 }));
    const peak = best(alpha, c);
    const [px, py] = at(peak, speedup(alpha, peak, c));
    shapes.push(word(px, py + 5, "★", { "text-anchor": "middle", "font-size": 16 }));
    const side = peak > 8 ? "end" : peak < 3 ? "start" : "middle";
    shapes.push(word(px, py - 13, `k = ${peak}, ×${two(speedup(alpha, peak, c))}`, { "text-anchor": side, "font-weight": "bold" }));
    curve.replaceChildren(...plane.ground, ...shapes);
  };

  // --- in words ---
  const said = make("p", { class: "said", "aria-live": "polite" });
  const tell = () => {
    const { alpha, c, k } = now;
    const peak = best(alpha, c), most = speedup(alpha, peak, c);
    const values = { k, tokens: two(tokens(alpha, k)), cost: two(v(k) + k * c), times: two(speedup(alpha, k, c)) };
    const told = [fill(words.said, values)];
    if (now.point) told.push(now.point.said, now.point.here ? words.found : words.published);
    else told.push(fill(most > 1 ? words.wins : words.loses, { k: peak, times: two(most) }));
    said.textContent = told.join(root.lang === "ja" ? "" : " ");
    curve.setAttribute("aria-label", said.textContent);
  };

  const change = (news) => {
    Object.assign(now, news);
    for (const name of Object.keys(sliders)) sliders[name].set(now[name]);
    measured.checked = now.measured;
    if (now.measured) sliders.extra.output.value = words.as_measured;
    const [x, y] = spot(now);
    here.replaceChildren(
      line([[x, land.bottom], [x, y], [land.left, y]], { "stroke-dasharray": "2 3" }),
      draw("circle", { cx: x, cy: y, r: 9, fill: "none", stroke: "currentColor", "stroke-width": 2.5 }),
    );
    paint();
    trace();
    tell();
  };

  const controls = make("div", { class: "controls" });
  controls.append(...[sliders.alpha, sliders.c, sliders.k, session, sliders.extra].map(({ node }) => node));
  controls.append(make("label", { class: "tick" }, measured, words.measured));
  const pictures = make("div", { class: "pictures" }, figure(words.map, map), figure(words.curve, curve));
  stage(root, data, controls, said, pictures, make("p", { class: "key" }, words.key));
  pins();
  change({});
}
