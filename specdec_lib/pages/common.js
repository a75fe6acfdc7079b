// What the scripts of all parts share; that of one part follows at once.
globalThis.specdec = (() => {
  const dress = (node, attributes, children) => {
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children); // strings become text, whatever they hold
    return node;
  };
  const make = (tag, attributes = {}, ...children) => dress(document.createElement(tag), attributes, children);
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const button = (sign, act, attributes = {}) => {
    const node = make("button", { type: "button", ...attributes }, sign);
    node.addEventListener("click", act);
    return node;
  };

  // two numbers with as many digits as tell them apart
  const apart = (one, other, digits) => {
    while (digits < 6 && one.toFixed(digits) === other.toFixed(digits)) digits++;
    return [one.toFixed(digits), other.toFixed(digits)];
  };
  const modified = (event) => event.altKey || event.ctrlKey || event.metaKey;

  return { dress, make, fill, button, apart, modified };
})();
