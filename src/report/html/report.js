// Draws the curves and the packets of a report with uPlot. The words and tables are in the page already.
"use strict";

(() => {
  const runs = JSON.parse(document.getElementById("data").textContent).runs;
  const root = document.documentElement;
  // One more than there are colours, so that no two of many runs share both.
  const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [14, 4], [4, 4], [12, 3, 2, 3, 2, 3]];
  const dashes = (index) => DASHES[index % DASHES.length];
  const KINDS = [
    { id: "acked", name: "acknowledged" },
    { id: "sent", name: "sent" },
    { id: "again", name: "sent again" },
    { id: "declared", name: "declared lost" },
    { id: "lost", name: "lost on the link" },
  ];
  const color = (name) => getComputedStyle(root).getPropertyValue("--" + name).trim();
  const runColor = (index) => color("run-" + (index % 6));
  const byId = (id) => document.getElementById(id);

  // Pixels of a page of paper between its margins, while that is what is drawn for.
  const PAPER = 680;
  let isForPaper = false;
  const extent = (place) => ({ width: isForPaper ? PAPER : place.clientWidth, height: place.clientHeight });

  function element(tag, properties, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  // ---- quantities ----

  // The number with three digits and the unit that suits `largest`.
  function scaled(units, base, largest, one = 1) {
    let step = 0;
    while (step + 1 < units.length && largest * one >= base ** (step + 1)) step += 1;
    return { unit: units[step], show: (value) => short(value * one / base ** step) };
  }
  const short = (value) => String(Number(value.toPrecision(3)));
  const rate = (largest) => scaled(["bit/s", "kbit/s", "Mbit/s", "Gbit/s"], 1000, largest);
  const size = (largest) => scaled(["B", "KiB", "MiB", "GiB", "TiB"], 1024, largest);
  const time = (largest) => scaled(["us", "ms", "s"], 1000, largest, 1e6);
  const showTime = (seconds) => `${seconds.toFixed(seconds < 10 ? 4 : 3)} s`;

  // Ticks of bytes that are round in powers of two.
  function byteSplits(u, axis, low, high, step) {
    let increment = 1;
    while (increment * 1.5 < step) increment *= 2;
    const splits = [];
    for (let at = Math.ceil(low / increment) * increment; at <= high; at += increment) splits.push(at);
    return splits;
  }

  function axis(label, more) {
    return {
      label, labelSize: 20, labelGap: 0, labelFont: "13px sans-serif", font: "12px sans-serif", stroke: color("faint"),
      grid: { stroke: color("grid"), width: 1 }, ticks: { stroke: color("line"), width: 1 }, ...more,
    };
  }

  const timeAxis = () => axis("time in s", { size: 32 });

  // An axis whose unit follows what is in view.
  function scaledAxis(name, units, more) {
    return axis(null, {
      size: 62,
      values: (u, splits) => {
        const scale = units(Math.max(...splits.map(Math.abs), 0));
        u.unit = scale.unit;
        return splits.map(scale.show);
      },
      label: (u) => `${name} in ${u?.unit ?? ""}`,
      ...more,
    });
  }

  // ---- words beside the pointer ----

  function tooltip(u) {
    const tip = element("div", { className: "tip", hidden: true });
    u.over.append(tip);
    return {
      hide: () => { tip.hidden = true; },
      show: (left, top, text) => {
        tip.textContent = text;
        tip.hidden = false;
        const wide = u.over.clientWidth, high = u.over.clientHeight;
        const x = left + 14 + tip.offsetWidth > wide ? left - 14 - tip.offsetWidth : left + 14;
        const y = Math.min(top + 14, high - tip.offsetHeight - 4);
        tip.style.left = `${Math.max(x, 0)}px`;
        tip.style.top = `${Math.max(y, 0)}px`;
      },
    };
  }

  // ---- curves over time ----

  const isShown = runs.map(() => true);
  let curves = [];

  const CURVES = [
    { id: "goodput", name: "goodput", units: rate, of: (run) => run.goodput, hasCapacity: true },
    { id: "cwnd", name: "window", units: size, of: (run) => run.cwnd, with: (run) => run.inFlight, splits: byteSplits },
    { id: "rtt", name: "round trip", units: time, of: (run) => run.rtt },
  ].filter((curve) => byId(curve.id));

  // The sample at or before `at`.
  function valueAt([times, values], at) {
    let low = 0, high = times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] <= at) low = middle + 1; else high = middle;
    }
    return low > 0 ? values[low - 1] : null;
  }

  function drawCurve(curve, range) {
    const place = byId(curve.id);
    const shown = runs.map((run, index) => ({ run, index })).filter(({ index }) => isShown[index]);
    const lines = shown.map(({ run, index }) => ({
      data: curve.of(run), label: run.label, stroke: runColor(index), dash: dashes(index), width: 2,
    }));
    if (curve.with && shown.length === 1) {
      const { run, index } = shown[0];
      lines.push({ data: curve.with(run), label: "in flight", stroke: runColor(index), dash: [], width: 0.75 });
    }
    const capacity = curve.hasCapacity ? Math.max(0, ...shown.map(({ run }) => run.capacity ?? 0)) : 0;
    const end = Math.max(...shown.map(({ run }) => run.seconds), 1e-6);
    const data = lines.length ? uPlot.join(lines.map((line) => line.data)) : [[]];
    let tip;
    const plot = new uPlot({
      ...extent(place), legend: { show: false },
      scales: {
        x: { time: false, range: (u, low, high) => range ?? [0, end] },
        y: { range: (u, low, high) => [0, Math.max(high ?? 0, capacity, 1e-9) * 1.06] },
      },
      axes: [timeAxis(), scaledAxis(curve.name, curve.units, curve.splits ? { splits: curve.splits } : {})],
      series: [{}, ...lines.map((line) => ({
        label: line.label, stroke: line.stroke, dash: line.dash, width: line.width, spanGaps: true,
        points: { show: false },
      }))],
      cursor: { drag: { x: true, y: false, setScale: false }, points: { show: false } },
      hooks: {
        init: [(u) => { tip = tooltip(u); u.over.addEventListener("dblclick", () => zoomCurves(null)); }],
        setSelect: [(u) => {
          if (u.select.width < 4) return;
          zoomCurves([u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")]);
        }],
        setCursor: [(u) => {
          const { left, top } = u.cursor;
          if (left < 0 || !lines.length) return tip.hide();
          const at = u.posToVal(left, "x");
          const texts = lines.map((line) => {
            const value = valueAt(line.data, at);
            if (value === null || at > line.data[0].at(-1)) return null;
            const scale = curve.units(value);
            return `${line.label}: ${scale.show(value)} ${scale.unit}`;
          });
          tip.show(left, top, [showTime(at), ...texts.filter((text) => text)].join("\n"));
        }],
        draw: [(u) => capacity && drawCapacity(u, capacity)],
      },
    }, data, place);
    return plot;
  }

  function drawCapacity(u, capacity) {
    const { ctx, bbox } = u;
    const y = Math.round(u.valToPos(capacity, "y", true));
    ctx.save();
    ctx.strokeStyle = color("faint");
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([2 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.restore();
  }

  // One run that takes far longer than all others would leave these no room: it is cut off at first.
  function firstRange() {
    const [longest, second] = runs.filter((run, index) => isShown[index]).map((run) => run.seconds).sort((a, b) => b - a);
    return second && longest > 3 * second ? [0, 1.1 * second] : null;
  }

  let curvesRange = firstRange();
  function zoomCurves(range) {
    curvesRange = range;
    drawCurves();
  }

  function offerAll() {
    const words = element("span", {});
    const button = element("button", { type: "button" }, "Show all the time");
    button.addEventListener("click", () => zoomCurves(null));
    byId("part").append(words, button);
    return () => {
      byId("part").hidden = !curvesRange;
      words.textContent = "";
      if (!curvesRange) return;
      const [from, to] = curvesRange.map((at) => `${short(at)} s`);
      const later = runs.filter((run, index) => isShown[index] && run.seconds > curvesRange[1]);
      const more = later.map((run) => `${run.label} goes on until ${short(run.seconds)} s`);
      words.textContent = [`Shown: ${from} to ${to}`, ...more].join("; ") + ". ";
    };
  }

  function drawCurves() {
    curves.forEach((plot) => plot.destroy());
    curves = CURVES.map((curve) => drawCurve(curve, curvesRange));
    tellPart();
  }

  function offerRuns() {
    if (runs.length < 2) return;
    runs.forEach((run, index) => {
      const box = element("input", { type: "checkbox", checked: true });
      box.addEventListener("change", () => {
        isShown[index] = box.checked;
        label.classList.toggle("off", !box.checked);
        zoomCurves(firstRange());
      });
      const label = element("label", {}, box, lineSample(index), run.label);
      byId("choice").append(label);
    });
  }

  const SVG = "http://www.w3.org/2000/svg";
  function svg(width, height, tag, attributes) {
    const picture = document.createElementNS(SVG, "svg");
    const shape = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries({ width, height, "aria-hidden": "true" })) picture.setAttribute(name, value);
    for (const [name, value] of Object.entries(attributes)) shape.setAttribute(name, value);
    picture.append(shape);
    return picture;
  }

  const lineSample = (index) => svg(34, 10, "path", {
    d: "M0 5H34", style: `stroke:var(--run-${index % 6})`, "stroke-width": 2.5, "stroke-dasharray": dashes(index).join(" "),
  });

  // ---- packets ----

  // The outline of a mark around (x, y); `r` is its size, `half` the half of the packet's bytes. The same
  // shapes are in the legend.
  const SHAPES = {
    acked: (x, y, r) => [["M", x - r, y], ["L", x + r, y]],
    sent: (x, y, r, half = 0) => [["M", x, y - Math.max(r, half)], ["L", x, y + Math.max(r, half)]],
    again: (x, y, r) => [["M", x, y - r], ["L", x + r, y + r], ["L", x - r, y + r], ["L", x, y - r]],
    declared: (x, y, r) => [["M", x, y - r], ["L", x + r, y], ["L", x, y + r], ["L", x - r, y], ["L", x, y - r]],
    lost: (x, y, r) => [["M", x - r, y - r], ["L", x + r, y + r], ["M", x + r, y - r], ["L", x - r, y + r]],
  };
  const isOrdinary = (kind) => kind === "sent" || kind === "acked";
  const radius = (kind) => (isOrdinary(kind) ? 2.5 : 4.5);
  const middle = (marks, index) => marks.start[index] + marks.bytes[index] / 2;

  const isKindShown = Object.fromEntries(KINDS.map((kind) => [kind.id, true]));
  const traced = runs.filter((run) => run.packets.end > 0);
  let current = traced[0];
  let sequence = null;
  let view = null;
  let ring = null;

  const whole = () => ({ x: [0, Math.max(current.seconds, 1e-6)], y: [0, Math.max(current.packets.end, 1)] });

  function tellView({ x, y }) {
    const { unit, show } = size(y[1]);
    byId("view").textContent =
      `Shown: ${x.map(short).join(" to ")} s, offsets ${y.map((at) => show(Math.max(at, 0))).join(" to ")} ${unit}.`;
  }

  function drawSequence() {
    sequence?.destroy();
    const place = byId("sequence");
    const shown = view ?? whole();
    tellView(shown);
    let tip;
    sequence = new uPlot({
      ...extent(place), legend: { show: false },
      scales: { x: { time: false, range: () => shown.x }, y: { range: () => shown.y } },
      axes: [timeAxis(), scaledAxis("offset", size, { splits: byteSplits })],
      series: [{}, { paths: () => null, points: { show: false } }],
      cursor: { drag: { x: true, y: true, uni: 20, setScale: false }, points: { show: false } },
      hooks: {
        init: [(u) => {
          tip = tooltip(u);
          ring = element("div", { className: "ring", hidden: true });
          u.over.append(ring);
          u.over.addEventListener("dblclick", () => zoomSequence(null));
        }],
        draw: [drawMarks],
        setSelect: [(u) => {
          const { left, top, width, height } = u.select;
          if (width < 4 && height < 4) return;
          const whole = { x: [u.scales.x.min, u.scales.x.max], y: [u.scales.y.min, u.scales.y.max] };
          zoomSequence({
            x: width < 4 ? whole.x : [u.posToVal(left, "x"), u.posToVal(left + width, "x")],
            y: height < 4 ? whole.y : [u.posToVal(top + height, "y"), u.posToVal(top, "y")],
          });
        }],
        setCursor: [(u) => {
          const found = u.cursor.left >= 0 && nearest(u, u.cursor.left, u.cursor.top);
          ring.hidden = !found;
          if (!found) return tip.hide();
          ring.style.left = `${found.x}px`;
          ring.style.top = `${found.y}px`;
          tip.show(found.x, found.y, describe(found));
        }],
      },
    }, [whole().x, whole().y], place);
  }

  function describe({ kind, marks, index }) {
    const start = marks.start[index], end = start + marks.bytes[index] - 1;
    const name = KINDS.find((known) => known.id === kind).name;
    return `packet ${marks.number[index]}: ${name}\nbytes ${start} to ${end}\nat ${showTime(marks.time[index])}`;
  }

  function drawMarks(u) {
    const { ctx, bbox } = u;
    const ratio = devicePixelRatio;
    const { min: left, max: right } = u.scales.x, { min: low, max: high } = u.scales.y;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const { id } of KINDS) {
      if (!isKindShown[id]) continue;
      const marks = current.packets.marks[id];
      const inView = [...marks.time.keys()].filter((index) => {
        const at = marks.time[index], start = marks.start[index];
        return at >= left && at <= right && start + marks.bytes[index] >= low && start <= high;
      });
      // Where there are many, small ones can still be told apart.
      const crowd = isOrdinary(id) ? 1 : Math.min(Math.max(60 / inView.length, 0.6), 1.2);
      const perByte = bbox.height / (high - low);
      ctx.strokeStyle = color(id);
      ctx.lineWidth = 1.5 * ratio;
      ctx.beginPath();
      for (const index of inView) {
        const x = u.valToPos(marks.time[index], "x", true), y = u.valToPos(middle(marks, index), "y", true);
        const half = marks.bytes[index] / 2 * perByte;
        for (const [step, toX, toY] of SHAPES[id](x, y, radius(id) * crowd * ratio, half)) {
          if (step === "M") ctx.moveTo(toX, toY); else ctx.lineTo(toX, toY);
        }
      }
      ctx.stroke();
    }
    ctx.restore();
  }

  // The mark closest to the pointer, if one is close. What was drawn last wins where two are equally close.
  function nearest(u, left, top) {
    const perSecond = u.over.clientWidth / (u.scales.x.max - u.scales.x.min);
    const perByte = u.over.clientHeight / (u.scales.y.max - u.scales.y.min);
    let best = null, least = 18 ** 2;
    for (const { id } of KINDS) {
      if (!isKindShown[id]) continue;
      const marks = current.packets.marks[id];
      marks.time.forEach((at, index) => {
        const x = (at - u.scales.x.min) * perSecond;
        const y = (u.scales.y.max - middle(marks, index)) * perByte;
        const distance = (x - left) ** 2 + (y - top) ** 2;
        if (distance <= least) {
          least = distance;
          best = { kind: id, marks, index, x, y };
        }
      });
    }
    return best;
  }

  function zoomSequence(next) {
    view = next;
    drawSequence();
  }

  // Shows a part `by` times as large, moved by so many of its widths and heights.
  function move(by, right, up) {
    const part = ([low, high], shift, [first, last]) => {
      const middle = (low + high) / 2 + shift * (high - low), half = Math.min((high - low) * by, last - first) / 2;
      const inside = Math.min(Math.max(middle, first + half), last - half);
      return [inside - half, inside + half];
    };
    const all = whole(), now = view ?? all;
    zoomSequence({ x: part(now.x, right, all.x), y: part(now.y, up, all.y) });
  }

  function offerPackets() {
    const tools = [
      ["+", "Closer", () => move(0.5, 0, 0)], ["\u2212", "Farther", () => move(2, 0, 0)],
      ["\u2190", "Earlier", () => move(1, -0.25, 0)], ["\u2192", "Later", () => move(1, 0.25, 0)],
      ["\u2193", "Lower offsets", () => move(1, 0, -0.25)], ["\u2191", "Higher offsets", () => move(1, 0, 0.25)],
      ["All", "All", () => zoomSequence(null)],
    ];
    for (const [sign, name, act] of tools) {
      const button = element("button", { type: "button", title: name }, sign);
      button.setAttribute("aria-label", name);
      button.addEventListener("click", act);
      document.querySelector(".zoom").append(button);
    }
    const keys = { "+": 0, "=": 0, "-": 1, ArrowLeft: 2, ArrowRight: 3, ArrowDown: 4, ArrowUp: 5, 0: 6 };
    byId("sequence").addEventListener("keydown", (event) => {
      if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      tools[keys[event.key]][2]();
    });
    if (traced.length > 1) {
      const chosen = element("b", { className: "paper" }, current.label);
      const choice = element("select", {}, ...traced.map((run, index) => element("option", { value: index }, run.label)));
      choice.addEventListener("change", () => {
        current = traced[choice.value];
        chosen.textContent = current.label;
        offerKinds();
        zoomSequence(null);
      });
      byId("which").append(element("label", { className: "screen" }, "Run ", choice), chosen);
    } else {
      byId("which").append(element("b", {}, current.label));
    }
    offerKinds();
  }

  function offerKinds() {
    byId("kinds").replaceChildren(...KINDS.map(({ id, name }) => {
      const { total, every } = current.packets.marks[id];
      const box = element("input", { type: "checkbox", checked: isKindShown[id] });
      const d = SHAPES[id](7, 7, radius(id) + 0.5).map((step) => step.join(" ")).join("");
      const shape = svg(14, 14, "path", { d, style: `stroke:var(--${id})`, "stroke-width": 1.8, fill: "none" });
      const thinned = every > 1 ? `, one of ${every} drawn` : "";
      const count = element("span", { className: "count" }, `${total}${thinned}`);
      const label = element("label", {}, box, shape, name, count);
      box.addEventListener("change", () => {
        isKindShown[id] = box.checked;
        label.classList.toggle("off", !box.checked);
        drawSequence();
      });
      return label;
    }));
  }

  // ---- the page ----

  function draw() {
    if (CURVES.length) drawCurves();
    if (traced.length) drawSequence();
  }

  function isDark() {
    const chosen = root.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }

  function nameTheme() {
    byId("theme").textContent = isDark() ? "Light" : "Dark";
    byId("theme").setAttribute("aria-label", isDark() ? "Change to light colours" : "Change to dark colours");
  }

  function watchTheme() {
    byId("theme").hidden = false;
    nameTheme();
    byId("theme").addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      nameTheme();
      draw();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { nameTheme(); draw(); });
  }

  // Paper is light, and narrower than most windows.
  function watchPrinter() {
    let before;
    addEventListener("beforeprint", () => {
      before = root.dataset.theme;
      Object.assign(root.dataset, { theme: "light", paper: "" });
      isForPaper = true;
      draw();
    });
    addEventListener("afterprint", () => {
      if (before) root.dataset.theme = before; else delete root.dataset.theme;
      delete root.dataset.paper;
      isForPaper = false;
      draw();
    });
  }

  function watchWidth() {
    let width = 0;
    new ResizeObserver(([entry]) => {
      if (entry.contentRect.width === width || isForPaper) return;
      width = entry.contentRect.width;
      for (const plot of [...curves, sequence]) {
        const place = plot?.root.parentElement;
        plot?.setSize(extent(place));
      }
    }).observe(document.querySelector("main"));
  }

  const tellPart = offerAll();
  if (traced.length) offerPackets(); else byId("packets")?.remove();
  offerRuns();
  draw();
  watchTheme();
  watchPrinter();
  watchWidth();
})();
