// What the explorables share; the script of one of them follows at once.
globalThis.specdecExplore = (() => {
  const { dress, make } = globalThis.specdec;
  const draw = (tag, attributes = {}, ...children) =>
    dress(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

  const word = (x, y, text, more = {}) => draw("text", { x, y, fill: "currentColor", "font-size": 12, ...more }, text);
  const line = (points, more = {}) =>
    draw("polyline", {
      points: points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" "),
      fill: "none",
      stroke: "currentColor",
      ...more,
    });
  const rect = (x, y, width, height, more = {}) => draw("rect", { x, y, width, height, ...more });
  const picture = (width, height, attributes, ...children) =>
    draw("svg", { viewBox: `0 0 ${width} ${height}`, ...attributes }, ...children);
  const scale = (low, high, from, to) => (value) => from + ((value - low) / (high - low)) * (to - from);

  // scales and axes; x and y: [lowest, highest, ticks, name, how a tick is written]
  const chart = (width, height, [x0, x1, xs, xName], [y0, y1, ys, yName, written = String]) => {
    const left = 44, right = width - 46, top = 30, bottom = height - 40;
    const x = scale(x0, x1, left, right), y = scale(y0, y1, bottom, top);
    const ground = [
      word(4, 13, yName),
      word((left + right) / 2, height - 6, xName, { "text-anchor": "middle" }),
      line([[left, bottom], [right, bottom]]),
    ];
    for (const value of xs)
      ground.push(
        line([[x(value), bottom], [x(value), bottom + 4]]),
        word(x(value), bottom + 17, String(value), { "text-anchor": "middle" }),
      );
    for (const value of ys)
      ground.push(
        line([[left, y(value)], [right, y(value)]], { "stroke-opacity": 0.2 }),
        word(left - 6, y(value) + 4, written(value), { "text-anchor": "end" }),
      );
    return { x, y, ground, left, right, top, bottom };
  };

  // a slider under its name and value; set() shows a value without calling change()
  const slider = (name, range, written, change) => {
    const input = make("input", { type: "range", "aria-label": name, ...range });
    const output = make("output", { "aria-live": "off" }); // the slider itself says its value
    const set = (value) => {
      input.value = value;
      output.value = written(value);
      input.setAttribute("aria-valuetext", output.value);
    };
    input.addEventListener("input", () => {
      set(Number(input.value));
      change(Number(input.value));
    });
    set(Number(range.value));
    return { node: make("label", { class: "slider" }, make("span", {}, name), output, input), input, output, set };
  };

  const choice = (name, options, change) => {
    const select = make("select");
    const offer = (those) => select.replaceChildren(...those.map((option, i) => make("option", { value: i }, option)));
    offer(options);
    select.addEventListener("change", () => change(Number(select.value)));
    return { node: make("label", { class: "choice" }, make("span", {}, name), select), select, offer };
  };

  const figure = (caption, ...children) => make("figure", {}, make("figcaption", {}, caption), ...children);

  // the living part in place of the still pictures, which stay at its foot, without their heading
  const stage = (root, data, ...children) => {
    const still = make("details", {}, make("summary", {}, data.words.still), ...[...root.childNodes].slice(1));
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", data.line);
    root.replaceChildren(make("div", { class: "head" }, data.line), ...children, still);
  };

  return { draw, word, line, rect, picture, scale, chart, slider, choice, figure, stage };
})();
