"use strict";
(() => {
  const cells = JSON.parse(document.getElementById("cells").textContent);
  const svg = document.querySelector("svg.mj");
  const details = document.getElementById("details");
  const search = document.getElementById("search");
  const found = document.getElementById("found");
  const nodes = [...svg.querySelectorAll(".n")].sort((a, b) => a.dataset.n - b.dataset.n);
  const edges = [...svg.querySelectorAll(".e")].map((element) => ({
    element,
    from: Number(element.dataset.f),
    to: Number(element.dataset.t),
    names: element.querySelector("title").textContent.replace(/^.*?: /, ""),
  }));
  const upOf = cells.map(() => []);
  const downOf = cells.map(() => []);
  for (const edge of edges) {
    upOf[edge.to].push(edge);
    downOf[edge.from].push(edge);
  }
  let pinned = null;
  let matches = [];
  let at = -1;

  // All nodes that are reached from `start` by edges of `edgesOf`, each edge leading to its end `end`.
  const reach = (start, edgesOf, end) => {
    const reached = new Set();
    const left = [start];
    while (left.length) {
      for (const edge of edgesOf[left.pop()]) {
        if (!reached.has(edge[end])) {
          reached.add(edge[end]);
          left.push(edge[end]);
        }
      }
    }
    return reached;
  };

  const element = (name, text, className) => {
    const made = document.createElement(name);
    made.textContent = text ?? "";
    if (className) made.className = className;
    return made;
  };

  const links = (title, className, edges, end) => {
    const line = element("p");
    line.append(element("b", title + " ", className));
    if (!edges.length) line.append("nothing");
    edges.forEach((edge, position) => {
      const link = element("a", "#" + cells[edge[end]].index);
      link.addEventListener("click", () => pin(edge[end], true));
      line.append(position ? ", " : "", link, " " + edge.names);
    });
    return line;
  };

  const describe = (n) => {
    details.replaceChildren();
    if (n === null) {
      details.append(
        element("h2", "Point at a cell"),
        element("p", "Its upstream and downstream light up. A click holds them, Esc lets go, / searches."),
      );
      return;
    }
    const cell = cells[n];
    details.append(element("h2", "#" + cell.index + " " + cell.id), element("p", cell.reason));
    details.append(links("reads from", "up-word", upOf[n], "from"), links("read by", "down-word", downOf[n], "to"));
    if (cell.writes.length) details.append(element("p", "writes " + cell.writes.join(", ")));
    if (cell.unknown) details.append(element("p", "unknown: " + cell.unknown));
    details.append(element("pre", cell.source));
  };

  const focus = (n) => {
    svg.classList.toggle("focus", n !== null);
    const up = n === null ? new Set() : reach(n, upOf, "from");
    const down = n === null ? new Set() : reach(n, downOf, "to");
    nodes.forEach((node, position) => {
      node.classList.toggle("self", position === n);
      node.classList.toggle("up", up.has(position));
      node.classList.toggle("down", down.has(position));
    });
    for (const edge of edges) {
      const isUp = up.has(edge.from) && (edge.to === n || up.has(edge.to));
      const isDown = down.has(edge.to) && (edge.from === n || down.has(edge.from));
      edge.element.classList.toggle("up", isUp);
      edge.element.classList.toggle("down", isDown);
      // What lights up must not lie under what does not.
      if (isUp || isDown) edge.element.parentNode.append(edge.element);
    }
    describe(n);
  };

  const pin = (n, scroll) => {
    pinned = n;
    focus(n);
    if (scroll) nodes[n].scrollIntoView({ block: "center", behavior: "smooth" });
  };

  nodes.forEach((node, n) => {
    node.setAttribute("tabindex", "0");
    node.addEventListener("pointerenter", () => pinned === null && focus(n));
    node.addEventListener("pointerleave", () => pinned === null && focus(null));
    node.addEventListener("click", () => pin(pinned === n ? null : n));
    node.addEventListener("keydown", (event) => {
      if (event.key === "Enter") pin(n);
    });
  });

  const text = cells.map((cell) =>
    ["#" + cell.index, cell.id, cell.reason, cell.source, ...cell.reads, ...cell.writes].join("\n").toLowerCase(),
  );
  const look = () => {
    const wanted = search.value.trim().toLowerCase();
    matches = wanted ? cells.map((_, n) => n).filter((n) => text[n].includes(wanted)) : [];
    at = -1;
    svg.classList.toggle("search", Boolean(wanted));
    nodes.forEach((node, n) => node.classList.toggle("match", matches.includes(n)));
    found.textContent = wanted ? matches.length + " of " + cells.length + " cells; Enter goes to the next" : "";
  };
  search.addEventListener("input", look);
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && matches.length) {
      at = (at + (event.shiftKey ? matches.length - 1 : 1)) % matches.length;
      pin(matches[Math.max(at, 0)], true);
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      search.value = "";
      look();
      pin(null);
    } else if (event.key === "/" && document.activeElement !== search) {
      event.preventDefault();
      search.focus();
    }
  });
  describe(null);
})();
