// What a reader would see wrong on this page: [[check, element, detail], ...].
() => {
  const problems = [];
  const report = (check, element, detail = "") =>
    problems.push([check, describe(element), detail]);

  function describe(element) {
    const classes = [...element.classList].slice(0, 3).map((name) => "." + name).join("");
    const id = element.id ? "#" + element.id : "";
    const text = element.textContent.trim().replace(/\s+/g, " ").slice(0, 40);
    return element.localName + id + classes + (text && ` "${text}"`);
  }

  // Text that is there for screen readers only is cut on purpose.
  const isHidden = (element) =>
    !element.checkVisibility({ visibilityProperty: true, opacityProperty: true }) ||
    element.closest(".katex-mathml, .visually-hidden, .skip-link, [aria-hidden=true] .vlist-s, .mord.nulldelimiter");

  function box(node) {
    if (node.nodeType === Node.ELEMENT_NODE) return node.getBoundingClientRect();
    const range = document.createRange();
    range.selectNodeContents(node);
    return range.getBoundingClientRect();
  }

  // The side on which what is drawn can be neither seen nor scrolled to.
  function cut(node) {
    const slack = 3;
    let { left, right, top, bottom } = box(node);
    if (right - left < 1 || bottom - top < 1) return null;
    let parent = node.parentElement;
    for (; parent && parent !== document.body; parent = parent.parentElement) {
      const style = getComputedStyle(parent);
      if (style.position === "fixed") return null;
      const replaced = parent.localName === "svg";
      if (!replaced && ["inline", "contents"].includes(style.display)) continue;
      const edge = parent.getBoundingClientRect();
      if (["hidden", "clip"].includes(style.overflowX)) {
        if (left < edge.left - slack) return "left";
        if (right > edge.right + slack) return "right";
      } else if (style.overflowX !== "visible") {
        if (left + parent.scrollLeft < edge.left - slack) return "left";
        ({ left, right } = edge);
      }
      if (["hidden", "clip"].includes(style.overflowY)) {
        if (top < edge.top - slack) return "top";
        if (bottom > edge.bottom + slack) return "bottom";
      } else if (style.overflowY !== "visible") {
        if (top + parent.scrollTop < edge.top - slack) return "top";
        ({ top, bottom } = edge);
      }
    }
    if (left + scrollX < -slack) return "left";
    if (right + scrollX > innerWidth + slack) return "page";
    return null;
  }

  // Code and formulas are looked at by the block, not by the symbol.
  const filter = (node) =>
    node.matches?.(".highlight pre, .katex") ? NodeFilter.FILTER_REJECT
    : node.nodeType === Node.TEXT_NODE && node.data.trim() ? NodeFilter.FILTER_ACCEPT : NodeFilter.FILTER_SKIP;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT, filter);
  const drawn = [...document.querySelectorAll("img, svg, canvas, video, hr, table, pre, .katex .base")];
  while (texts.nextNode()) drawn.push(texts.currentNode);
  const seen = new Set();
  for (const node of drawn) {
    const element = node.nodeType === Node.TEXT_NODE ? node.parentElement : node;
    if (seen.has(element) || isHidden(element)) continue;
    const side = cut(node);
    if (!side) continue;
    seen.add(element);
    if (side === "page") report("overflow", element, `wider than the page's ${innerWidth} px`);
    else report("cut", element, `on the ${side}, where nothing scrolls`);
  }
  const { scrollWidth } = document.scrollingElement;
  if (scrollWidth > innerWidth) report("overflow", document.body, `${scrollWidth} px wide on ${innerWidth} px`);

  if (innerWidth >= 1440)
    for (const pre of document.querySelectorAll("div.highlight pre"))
      if (!pre.closest(".cell_output") && pre.scrollWidth > pre.clientWidth + 1)
        report("code scrolls", pre, `${pre.scrollWidth} px in ${pre.clientWidth} px`);

  for (const code of document.querySelectorAll("table code .pre"))
    if (/^[\w.,()=]+$/.test(code.textContent) && code.getClientRects().length > 1)
      report("broken word", code, "a table scrolls; its names stay whole");

  for (const image of document.querySelectorAll("article img, figure > svg")) {
    const alt = image.localName === "img" ? image.alt : image.getAttribute("aria-label");
    if (!alt?.trim()) report("no alt text", image, "say what the figure shows");
  }
  return problems;
}
