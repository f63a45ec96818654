// What is wrong with the page as it stands in the window: {problems, links}.
(() => {
  const problems = [];
  const say = (text) => problems.push(text);
  const short = (element) => `${element.tagName.toUpperCase()} ${(element.textContent || "").trim().slice(0, 40)}`;
  const meets = (a, b, slack, rise = slack) =>
    Math.min(a.right, b.right) - Math.max(a.left, b.left) > slack &&
    Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > rise;

  if (document.documentElement.scrollWidth > window.innerWidth)
    say(`the page scrolls sideways: ${document.documentElement.scrollWidth}`);
  if (!document.documentElement.lang) say("no language");

  const headings = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].map((h) => Number(h.tagName[1]));
  if (headings.filter((level) => level === 1).length !== 1) say("not one h1");
  headings.slice(1).forEach((level, i) => level > headings[i] + 1 && say(`h${headings[i]} before h${level}`));

  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  ids.filter((id, i) => ids.indexOf(id) !== i).forEach((id) => say(`id twice: ${id}`));
  for (const element of document.querySelectorAll("[aria-labelledby]"))
    for (const id of element.getAttribute("aria-labelledby").split(" "))
      if (!document.getElementById(id)) say(`no label ${id}`);

  for (const math of document.querySelectorAll("math")) {
    const box = math.getBoundingClientRect();
    if (box.width < 1 || box.height < 1) say(`formula not shown: ${math.getAttribute("alttext")}`);
    if (math.querySelector("merror")) say(`formula in error: ${math.getAttribute("alttext")}`);
  }
  for (const image of document.querySelectorAll("img"))
    if (!image.naturalWidth || !image.alt) say(`image: ${image.src}`);

  for (const svg of document.querySelectorAll("figure svg")) {
    const frame = svg.getBoundingClientRect();
    if (svg.getAttribute("role") !== "img" || !svg.querySelector("desc").textContent) say(`no alt text: ${svg.id}`);
    const texts = [...svg.querySelectorAll("text")].filter((t) => t.textContent.trim());
    const boxes = texts.map((t) => t.getBoundingClientRect());
    const colour = getComputedStyle(document.body).color;
    texts.forEach((t, i) => {
      const box = boxes[i];
      const rise = 0.3 * box.height; // the box of a line is higher than its letters
      if (box.left < frame.left - 3 || box.right > frame.right + 3 || box.top < frame.top - rise || box.bottom > frame.bottom + rise)
        say(`cut off in ${short(t)}`);
      if (getComputedStyle(t).fill === "rgb(0, 0, 0)" && colour !== "rgb(0, 0, 0)") say(`black text: ${short(t)}`);
      for (let j = 0; j < i; j++) if (meets(box, boxes[j], 2.5, Math.min(rise, 0.3 * boxes[j].height))) say(`${short(t)} over ${short(texts[j])}`);
    });
  }

  const shown = ["block", "flex", "list-item", "table", "table-row", "grid"];
  for (const parent of document.querySelectorAll("body, body *")) {
    if (parent.closest("svg, math")) continue;
    const blocks = [...parent.children].filter((child) => {
      const style = getComputedStyle(child);
      return shown.includes(style.display) && style.position === "static" && child.getBoundingClientRect().height > 0;
    });
    blocks.forEach((block, i) => {
      const box = block.getBoundingClientRect();
      for (const other of blocks.slice(0, i))
        if (meets(box, other.getBoundingClientRect(), 1)) say(`${short(block)} over ${short(other)}`);
    });
  }

  window.printProblems = () => {
    const lost = [...document.querySelectorAll("details li")].filter((li) => !li.checkVisibility());
    const found = lost.length ? [`${lost.length} folded lines are lost in print`] : [];
    if (getComputedStyle(document.documentElement).getPropertyValue("--page").trim() !== "#fff") found.push("dark print");
    return found;
  };
  return { problems, links: [...document.querySelectorAll("a[href]")].map((a) => a.href) };
})();
