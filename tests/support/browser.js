// What is wrong with the page that is open, as lines of text.
async () => {
  const faults = [];
  const told = (node) => {
    const text = (node.textContent || "").trim().replace(/\s+/g, " ").slice(0, 40);
    const element = node.nodeType === Node.TEXT_NODE ? node.parentElement : node;
    const name = element.tagName.toLowerCase() + (element.classList[0] ? "." + element.classList[0] : "");
    return `<${name}> ${JSON.stringify(text)}`;
  };

  // -- images that show nothing
  for (const image of document.images) {
    if (!image.currentSrc && !image.src) continue;
    try {
      await image.decode();
    } catch {
      faults.push(`no image: ${image.src.slice(0, 120)}`);
    }
  }

  // -- content wider than the window
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) {
    const scrolls = (element) => {
      for (let e = element.parentElement; e; e = e.parentElement)
        if (e !== root && e !== document.body && getComputedStyle(e).overflowX !== "visible") return true;
      return false;
    };
    const wide = [...document.body.querySelectorAll("*")]
      .filter((e) => e.getBoundingClientRect().right > root.clientWidth + 1 && !scrolls(e));
    faults.push(`${root.scrollWidth} pixels wide in a window of ${root.clientWidth}: ` +
      wide.slice(-3).map(told).join(", "));
  }

  // -- text that its background swallows
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const paint = canvas.getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const colour = (css) => {
    if (!known.has(css)) {
      paint.clearRect(0, 0, 1, 1);
      paint.fillStyle = css;
      paint.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = paint.getImageData(0, 0, 1, 1).data;
      known.set(css, [r, g, b, a / 255]);
    }
    return known.get(css);
  };
  const over = (top, below) => {
    const a = top[3];
    return [0, 1, 2].map((i) => top[i] * a + below[i] * (1 - a)).concat(1);
  };
  const luminance = (c) => {
    const [r, g, b] = c.slice(0, 3).map((v) => {
      const s = v / 255;
      return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [light, dark] = [luminance(one), luminance(other)].sort((x, y) => y - x);
    return (light + 0.05) / (dark + 0.05);
  };
  const background = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
      const style = getComputedStyle(e);
      if (style.backgroundImage !== "none") return null; // a picture: not to be told from here
      const c = colour(style.backgroundColor);
      if (c[3] > 0) layers.push(c);
      if (c[3] === 1) break;
    }
    const scheme = getComputedStyle(root).colorScheme.includes("dark");
    return layers.reduceRight((below, top) => over(top, below), scheme ? [18, 18, 18, 1] : [255, 255, 255, 1]);
  };
  // Letters of a drawing stand on the shapes that were drawn before them, below their middle.
  const drawnBehind = (text, page) => {
    const box = text.getBoundingClientRect();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    let behind = page;
    for (const shape of text.closest("svg").querySelectorAll("path, rect")) {
      if (!(shape.compareDocumentPosition(text) & Node.DOCUMENT_POSITION_FOLLOWING)) break;
      const area = shape.getBoundingClientRect();
      const style = getComputedStyle(shape);
      const isBelow = area.left <= x && x <= area.right && area.top <= y && y <= area.bottom;
      if (!isBelow || style.fill === "none" || style.fill.startsWith("url") || shape.closest("defs")) continue;
      const fill = [...colour(style.fill)];
      fill[3] *= Number(style.fillOpacity) * Number(style.opacity);
      behind = over(fill, behind);
    }
    return behind;
  };
  const seen = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || ["SCRIPT", "STYLE", "NOSCRIPT", "TITLE"].includes(element.tagName)) continue;
    if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    const box = element.getBoundingClientRect();
    if (box.width <= 1 || box.height <= 1) continue; // for screen readers alone
    let behind = background(element);
    if (behind === null) continue;
    const style = getComputedStyle(element);
    if (element.namespaceURI.endsWith("svg")) behind = drawnBehind(element, behind);
    const ink = [...colour(element.namespaceURI.endsWith("svg") ? style.fill : style.color)];
    for (let e = element; e; e = e.parentElement) ink[3] *= Number(getComputedStyle(e).opacity);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = contrast(over(ink, behind), behind);
    if (ratio < (large ? 3 : 4.5)) {
      const line = `contrast ${ratio.toFixed(2)}: ${told(node)}`;
      const kind = `${ratio.toFixed(2)} ${element.className}`;
      if (!seen.has(kind)) faults.push(line);
      seen.add(kind);
    }
  }
  return faults;
}
