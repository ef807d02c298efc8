"use strict";
// What moves on the page: the slider of decisions, curves, maps of alphas, clouds that turn. Texts stand in the page itself.
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const data = JSON.parse(document.getElementById("data").textContent);
  // Colours of the style sheet, asked for once per scheme.
  let colours = new Map();
  const variable = (name) => {
    if (!colours.has(name)) colours.set(name, getComputedStyle(root).getPropertyValue(name).trim());
    return colours.get(name);
  };
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const redraws = [];
  const number = (value) => {
    if (value === null || value === undefined) return "–";
    const size = Math.abs(value);
    if (size !== 0 && (size >= 1e6 || size < 1e-3)) return value.toExponential(2);
    return String(Number(value.toPrecision(4)));
  };

  // The cell, decision by decision.
  const remembered = (key, value) => {
    // A page of a file may have no storage.
    try {
      if (value === undefined) return sessionStorage.getItem(key);
      sessionStorage.setItem(key, value);
    } catch { /* it is not remembered */ }
    return null;
  };
  all(".growth").forEach((growth, place) => {
    const slider = growth.querySelector(".slider");
    if (!slider) return;
    const frames = all(".frame", growth);
    const moment = growth.querySelector(".moment");
    const play = growth.querySelector(".play");
    const [back, on] = all(".step", growth);
    const key = `${location.pathname}#${place}`;
    let timer = null;
    const show = (index) => {
      const label = `${frames[index].dataset.label} (${index} of ${frames.length - 1})`;
      slider.value = index;
      slider.setAttribute("aria-valuetext", label);
      moment.textContent = label;
      frames.forEach((frame, at) => {
        frame.classList.toggle("shown", at === index);
        frame.inert = at !== index;
      });
      back.disabled = index === 0;
      on.disabled = index === frames.length - 1;
      remembered(key, index === frames.length - 1 ? "last" : String(index));
    };
    const stop = () => {
      clearInterval(timer);
      timer = null;
      play.setAttribute("aria-pressed", "false");
      play.firstElementChild.textContent = "▶";
      play.setAttribute("aria-label", "Play");
    };
    // Drawings of all moments take the height of the highest, so that nothing jumps.
    const level = () => {
      const heights = [];
      for (const frame of frames) {
        all(".drawing .scroll", frame).forEach((box, at) => {
          const [width, height] = ["width", "height"].map((name) => Number(box.firstElementChild.getAttribute(name)));
          const wide = Math.max(Math.min(width, growth.clientWidth - 40), 544);
          heights[at] = Math.max(heights[at] ?? 0, Math.min(480, height * wide / width));
        });
      }
      for (const frame of frames) {
        all(".drawing .scroll", frame).forEach((box, at) => { box.style.minHeight = `${Math.ceil(heights[at]) + 8}px`; });
      }
    };
    new ResizeObserver(level).observe(growth);
    slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
    for (const button of [back, on]) {
      button.addEventListener("click", () => { stop(); show(Number(slider.value) + Number(button.dataset.step)); });
    }
    play.addEventListener("click", () => {
      if (timer !== null) return stop();
      if (Number(slider.value) === frames.length - 1) show(0);
      play.setAttribute("aria-pressed", "true");
      play.setAttribute("aria-label", "Pause");
      play.firstElementChild.textContent = "❚❚";
      timer = setInterval(() => {
        const next = Number(slider.value) + 1;
        if (next >= frames.length) return stop();
        show(next);
      }, 1100);
    });
    const before = remembered(key);
    const begun = before === null || before === "last" ? frames.length - 1 : Number(before);
    show(Number.isInteger(begun) && begun >= 0 && begun < frames.length ? begun : frames.length - 1);
  });

  // Curves.
  const colour = (index) => variable(`--s${index % 8}`);
  const widths = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) {
      const plot = target.plotted;
      if (plot && contentRect.width > 0 && Math.abs(contentRect.width - plot.width) > 1) {
        plot.setSize({ width: contentRect.width, height: 220 });
      }
    }
  });
  const draw = (place, chart) => {
    const strokes = chart.lines.map((_, index) => colour(index));
    const few = chart.epochs.length < 3;
    let values = chart.lines.map((line) => line.values);
    let order = chart.lines.map((_, index) => index);
    if (chart.stacked) {
      // Each line is the sum of all up to it; the highest is filled first.
      const sums = [];
      values.forEach((line, index) => {
        sums.push(line.map((value, at) => (value ?? 0) + (index > 0 ? sums[index - 1][at] : 0)));
      });
      order = order.reverse();
      values = order.map((index) => sums[index]);
    }
    const logarithmic = chart.logarithmic && chart.lines.every((line) => line.values.every((value) => value === null || value > 0));
    const axis = {
      stroke: variable("--soft"), grid: { stroke: variable("--line"), width: 1 }, ticks: { stroke: variable("--line"), width: 1, size: 5 },
      font: "12px system-ui, sans-serif",
    };
    const series = order.map((index) => ({
      label: chart.lines[index].name,
      stroke: strokes[index],
      width: chart.stacked ? 1 : 2,
      fill: chart.stacked ? strokes[index] : undefined,
      points: { show: few, size: 7, fill: strokes[index] },
      value: (_, value, __, at) => number(at === null || at === undefined ? null : chart.lines[index].values[at]),
    }));
    const options = {
      width: Math.max(place.clientWidth, 200),
      height: 220,
      cursor: { sync: { key: place.closest("article, section").id }, points: { size: 7 }, drag: { x: true, y: false } },
      scales: {
        x: { time: false, range: few ? (_, least, most) => [least - 0.5, most + 0.5] : undefined },
        y: logarithmic ? { distr: 3 } : { range: (_, least, most) => range(least, most, chart.stacked) },
      },
      axes: [
        { ...axis, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000] },
        { ...axis, size: 62, values: (_, ticks) => ticks.map((tick) => tick === null ? "" : number(tick)) },
      ],
      series: [{ label: "epoch", value: (_, value) => value === null ? "–" : String(value) }, ...series],
    };
    place.replaceChildren();
    place.plotted = new uPlot(options, [chart.epochs, ...values], place);
    // What it says stands in the name of the picture and in the table.
    place.querySelector(".uplot").setAttribute("aria-hidden", "true");
    widths.observe(place);
  };
  const range = (least, most, fromZero) => {
    if (least === null || least === undefined) return [0, 1];
    if (fromZero) return [0, most > 0 ? most * 1.05 : 1];
    const room = (most - least) * 0.06 || Math.abs(most) * 0.1 || 1;
    return [least >= 0 && least - room < 0 ? 0 : least - room, most + room];
  };
  const drawCharts = () => {
    all("[data-comparison] .plot").forEach((place, index) => draw(place, data.comparison[index]));
    data.runs.forEach((run) => {
      all(`#${run.id} [data-chart] .plot`).forEach((place, index) => draw(place, run.charts[index]));
    });
  };
  redraws.push(drawCharts);

  // Maps of alphas.
  const viridis = [[68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142], [33, 144, 141], [39, 173, 129], [92, 200, 99], [170, 220, 50], [253, 231, 37]];
  const shade = (share) => {
    const place = Math.min(Math.max(share, 0), 1) * (viridis.length - 1);
    const below = Math.min(Math.floor(place), viridis.length - 2);
    return viridis[below].map((part, index) => Math.round(part + (viridis[below + 1][index] - part) * (place - below)));
  };
  const ROW = 14;
  data.runs.forEach((run) => {
    all(`#${run.id} .heat`).forEach((box, index) => {
      const heat = run.heat[index];
      let least = Infinity;
      let most = -Infinity;
      for (const edge of heat.edges) {
        for (const row of edge.shares) {
          for (const share of row) { least = Math.min(least, share); most = Math.max(most, share); }
        }
      }
      box.querySelector(".least").textContent = number(least);
      box.querySelector(".most").textContent = number(most);
      box.querySelector(".ramp").style.background = `linear-gradient(90deg, ${viridis.map((part) => `rgb(${part})`).join(",")})`;
      const readout = box.querySelector(".readout");
      all(".map", box).forEach((figure, number_) => {
        const edge = heat.edges[number_];
        const canvas = figure.querySelector("canvas");
        const [width, height] = [heat.epochs.length, heat.primitives.length];
        canvas.width = width;
        canvas.height = height;
        canvas.style.height = `${height * ROW}px`;
        const context = canvas.getContext("2d");
        const image = context.createImageData(width, height);
        edge.shares.forEach((row, primitive) => row.forEach((share, epoch) => {
          const at = 4 * (primitive * width + epoch);
          image.data.set([...shade((share - least) / (most - least || 1)), 255], at);
        }));
        context.putImageData(image, 0, 0);
        const closed = heat.epochs.findIndex((epoch) => epoch >= edge.closed);
        if (edge.closed !== null && closed >= 0) {
          const line = document.createElement("i");
          line.style.left = `calc(${100 * (closed + 1) / width}% - 1px)`;
          figure.querySelector(".cells").append(line);
        }
        canvas.addEventListener("pointermove", (event) => {
          const area = canvas.getBoundingClientRect();
          const epoch = Math.min(width - 1, Math.max(0, Math.floor((event.clientX - area.left) / area.width * width)));
          const primitive = Math.min(height - 1, Math.max(0, Math.floor((event.clientY - area.top) / area.height * height)));
          readout.textContent = `${edge.name.split(":")[0]}, epoch ${heat.epochs[epoch]}: ${heat.primitives[primitive]} ${number(edge.shares[primitive][epoch])}`;
        });
      });
    });
  });

  // Clouds.
  const hue = (index) => {
    const angle = (index * 137.508) % 360;
    return `hsl(${angle} 68% ${index % 2 ? 62 : 50}%)`;
  };
  all(".classes li").forEach((item) => { item.firstElementChild.style.background = hue(Number(item.dataset.class)); });
  const turnable = (canvas, cloud, colouring) => {
    let [turn, tilt, zoom] = [0.6, 0.35, 1];
    const points = cloud.positions.length / 3;
    const paint = () => {
      const side = Math.round(canvas.clientWidth * devicePixelRatio) || 240;
      if (canvas.width !== side) canvas.width = canvas.height = side;
      const context = canvas.getContext("2d");
      context.clearRect(0, 0, side, side);
      const [sine, cosine, rise, level] = [Math.sin(turn), Math.cos(turn), Math.sin(tilt), Math.cos(tilt)];
      const scale = side * zoom / 2 / 1600;
      const seen = new Array(points);
      for (let index = 0; index < points; index += 1) {
        const [x, y, z] = [cloud.positions[3 * index], cloud.positions[3 * index + 1], cloud.positions[3 * index + 2]];
        const [across, away] = [x * cosine - y * sine, x * sine + y * cosine];
        const depth = away * level - z * rise;
        const near = 6000 / (6000 + depth);
        seen[index] = [depth, side / 2 + across * scale * near, side / 2 - (z * level + away * rise) * scale * near, near, index];
      }
      seen.sort((one, other) => other[0] - one[0]);
      const size = side / Math.min(170, Math.max(45, 3.4 * Math.sqrt(points)));
      const plain = variable("--s0");
      for (const [depth, x, y, near, index] of seen) {
        context.globalAlpha = Math.min(1, Math.max(0.3, 0.75 - depth / 3000));
        context.fillStyle = colouring(cloud, index) ?? plain;
        const wide = size * near;
        context.fillRect(x - wide / 2, y - wide / 2, wide, wide);
      }
      context.globalAlpha = 1;
    };
    let held = null;
    canvas.addEventListener("pointerdown", (event) => {
      held = [event.clientX, event.clientY];
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!held) return;
      turn += (event.clientX - held[0]) / 110;
      tilt = Math.min(1.57, Math.max(-1.57, tilt + (event.clientY - held[1]) / 110));
      held = [event.clientX, event.clientY];
      paint();
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { held = null; });
    canvas.addEventListener("keydown", (event) => {
      const step = 0.12;
      const moves = {
        ArrowLeft: () => { turn -= step; }, ArrowRight: () => { turn += step; },
        ArrowUp: () => { tilt = Math.min(1.57, tilt + step); }, ArrowDown: () => { tilt = Math.max(-1.57, tilt - step); },
        "+": () => { zoom = Math.min(6, zoom * 1.15); }, "-": () => { zoom = Math.max(0.4, zoom / 1.15); },
      };
      const move = moves[event.key];
      if (!move) return;
      event.preventDefault();
      move();
      paint();
    });
    return paint;
  };
  data.runs.forEach((run) => {
    all(`#${run.id} .clouds`).forEach((group) => {
      const choice = document.querySelector(`#${run.id} [data-colours="${group.dataset.group}"]`);
      let kind = "plain";
      const colouring = (cloud, index) => {
        if (kind === "plain" || !cloud.actual.length) return null;
        const [actual, predicted] = [cloud.actual[index], cloud.predicted[index]];
        if (actual < 0 && kind !== "predicted") return variable("--line");
        if (kind === "errors") return actual === predicted ? variable("--s2") : variable("--bad");
        return hue(kind === "actual" ? actual : predicted);
      };
      const paints = all("canvas", group).map((canvas) => turnable(canvas, run.clouds[Number(canvas.dataset.cloud)], colouring));
      const paintAll = () => {
        kind = choice?.querySelector("input:checked")?.value ?? "plain";
        paints.forEach((paint) => paint());
      };
      choice?.addEventListener("change", paintAll);
      redraws.push(paintAll);
    });
  });

  const redraw = () => {
    colours = new Map();
    redraws.forEach((paint) => paint());
  };
  redraw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  matchMedia("print").addEventListener("change", redraw);
})();
