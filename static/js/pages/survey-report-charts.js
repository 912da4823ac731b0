// Draws the charts of a survey report with ECharts. Runs as it is in the page and inlined in the
// report file, so it imports nothing: ECharts is the global `echarts`, the figures are the JSON
// block #report. Every chart has its table beside it in the page.
(() => {
  const block = document.getElementById("report");
  if (!block || typeof echarts === "undefined") return;
  const report = JSON.parse(block.textContent);
  let onPaper = false;
  const words = globalThis.mienWords; // as lib/i18n.js has them; nothing can be imported here
  const language = words?.language ?? "en";
  /** @param {string} text @param {Record<string, string>} [values] */
  const t = (text, values = {}) =>
    String(words?.texts[text] || text).replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const NAMES = {
    angry: t("Angry"), disgust: t("Disgust"), fear: t("Fear"), happy: t("Happy"), sad: t("Sad"),
    surprise: t("Surprise"), neutral: t("Neutral"), valence: t("Valence"),
  };
  const CHARTS = {
    shares: t("shares"), groups: t("groups"), differences: t("differences"), curve: t("curve"),
    video: t("video"),
  };

  function palette() {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(`--${name}`).trim();
    return {
      ink: color("ink"),
      soft: color("ink-soft"),
      line: color("line"),
      surface: color("surface"),
      emotion: (name) => color(`emotion-${name}`),
      font: getComputedStyle(document.body).fontFamily,
    };
  }

  const title = (emotion) => NAMES[emotion] ?? emotion;
  const percent = (value) => `${(Math.round(1000 * value) / 10).toLocaleString(language)} %`;

  function base(colors) {
    return {
      animation: false,
      textStyle: { color: colors.ink, fontFamily: colors.font }, // named, or widths are misjudged
      grid: { left: 8, right: 28, top: 36, bottom: 8, containLabel: true },
    };
  }

  function valueAxis(colors, extra = {}) {
    return {
      type: "value",
      axisLabel: { color: colors.soft, formatter: (v) => `${Math.round(v * 100)} %` },
      splitLine: { lineStyle: { color: colors.line } },
      ...extra,
    };
  }

  function categoryAxis(colors, data, extra = {}) {
    return {
      type: "category",
      data,
      axisLabel: { color: colors.ink, interval: 0 },
      axisLine: { lineStyle: { color: colors.soft } },
      axisTick: { show: false },
      ...extra,
    };
  }

  // Whiskers: data rows are [category index, low, high]; `shift` moves them beside their bar.
  function whiskers(rows, color, { shift = 0, horizontal = false } = {}) {
    return {
      type: "custom",
      silent: true,
      z: 5,
      encode: horizontal ? { x: [1, 2], y: 0 } : { x: 0, y: [1, 2] },
      data: rows,
      renderItem(_params, api) {
        const at = (value) => api.coord(horizontal ? [value, api.value(0)] : [api.value(0), value]);
        const [low, high] = [at(api.value(1)), at(api.value(2))];
        const band = api.size(horizontal ? [0, 1] : [1, 0])[horizontal ? 1 : 0];
        const axis = horizontal ? 1 : 0;
        low[axis] += shift * band;
        high[axis] += shift * band;
        const cap = Math.min(5, band / 8);
        const line = (from, to) => ({
          type: "line",
          shape: { x1: from[0], y1: from[1], x2: to[0], y2: to[1] },
          style: { stroke: color, lineWidth: 1.5 },
        });
        const moved = (point, by) => point.map((v, i) => (i === axis ? v + by : v));
        return {
          type: "group",
          children: [
            line(low, high),
            line(moved(low, -cap), moved(low, cap)),
            line(moved(high, -cap), moved(high, cap)),
          ],
        };
      },
    };
  }

  function shares(colors) {
    const rows = report.overall.emotions;
    const corrected = report.method.corrected && rows.some((row) => row.corrected !== null);
    const names = rows.map((row) => title(row.emotion));
    const interval = (key) =>
      rows.flatMap((row, i) => (row[key] ? [[i, row[key][0], row[key][1]]] : []));
    const filled = rows.map((row) => ({
      value: row.share,
      itemStyle: { color: colors.emotion(row.emotion) },
    }));
    const corrections = rows.map((row) => ({
      value: row.corrected,
      itemStyle: {
        color: "transparent", borderColor: colors.emotion(row.emotion), borderWidth: 1.5,
      },
    }));
    /** @type {object[]} */
    const series = [
      {
        type: "bar", name: t("Share"), data: filled, barMaxWidth: 42,
        barGap: "12%",
      },
    ];
    if (corrected) {
      series.push({ type: "bar", name: t("Corrected"), data: corrections, barMaxWidth: 42 });
      series.push(whiskers(interval("share_interval"), colors.ink, { shift: -0.21 }));
      series.push(whiskers(interval("corrected_interval"), colors.ink, { shift: 0.21 }));
    } else {
      series.push(whiskers(interval("share_interval"), colors.ink));
    }
    const narrow = innerWidth < 520;
    return {
      ...base(colors),
      tooltip: { trigger: "axis", valueFormatter: percent },
      xAxis: categoryAxis(colors, names, {
        axisLabel: { color: colors.ink, interval: 0, rotate: narrow ? 40 : 0 },
      }),
      yAxis: valueAxis(colors, { min: 0 }),
      series,
    };
  }

  function groups(colors) {
    const shown = report.groups.filter((group) => group.faces > 0).reverse();
    return {
      ...base(colors),
      legend: { top: 0, textStyle: { color: colors.ink }, itemWidth: 12, itemHeight: 12 },
      grid: { left: 8, right: 28, top: innerWidth < 520 ? 72 : 44, bottom: 8, containLabel: true },
      tooltip: { trigger: "item", valueFormatter: percent },
      xAxis: valueAxis(colors, { max: 1 }),
      yAxis: categoryAxis(colors, shown.map((group) => group.name), {
        axisLabel: { color: colors.ink, width: 140, overflow: "truncate" },
      }),
      series: report.emotions.map((emotion, i) => ({
        type: "bar",
        stack: "all",
        name: title(emotion),
        barMaxWidth: 34,
        itemStyle: {
          color: colors.emotion(emotion), borderColor: colors.surface, borderWidth: 1,
        },
        data: shown.map((group) => group.emotions[i].share),
      })),
    };
  }

  function differences(colors) {
    const rows = [...report.comparison.rows].reverse();
    const pairs = new Set(rows.map((row) => row.groups.join("\n")));
    const several = pairs.size > 1;
    const label = (row) =>
      several ? `${row.groups[0]} − ${row.groups[1]}: ${title(row.measure)}` : title(row.measure);
    const room = several ? Math.round(Math.min(240, innerWidth * 0.45)) : 16 + Math.max(...rows.map((row) => 8 * title(row.measure).length), 68);
    return {
      ...base(colors),
      grid: { left: room, right: 28, top: 36, bottom: 28 },
      title: {
        text: several ? "" : t("{first} minus {second}", { first: rows[0]?.groups[0], second: rows[0]?.groups[1] }),
        textStyle: { color: colors.soft, fontSize: 13, fontWeight: 500 },
      },
      xAxis: valueAxis(colors, {
        axisLabel: {
          color: colors.soft, hideOverlap: true,
          formatter: (v) => `${["−", "", "+"][Math.sign(v) + 1]}${Math.round(Math.abs(v) * 100)}`,
        },
      }),
      yAxis: categoryAxis(colors, rows.map(label), {
        axisLine: { show: false },
        axisLabel: { color: colors.ink, width: room - 12, overflow: "truncate" },
      }),
      series: [
        whiskers(
          rows.flatMap((row, i) => (row.interval ? [[i, ...row.interval]] : [])),
          colors.ink,
          { horizontal: true },
        ),
        {
          type: "scatter",
          symbolSize: 11,
          z: 6,
          data: rows.map((row, i) => ({
            value: [row.difference, i],
            itemStyle: {
              color: row.untested ? colors.surface : colors.emotion(row.measure),
              opacity: row.significant || row.untested ? 1 : 0.45,
              borderColor: row.untested ? colors.soft : colors.emotion(row.measure),
              borderWidth: 2,
            },
          })),
          markLine: {
            silent: true,
            symbol: "none",
            label: { show: false },
            lineStyle: { color: colors.soft, type: "solid" },
            data: [{ xAxis: 0 }],
          },
        },
      ],
    };
  }

  function timeline(points, colors) {
    return {
      ...base(colors),
      legend: {
        top: 0, textStyle: { color: colors.ink }, itemWidth: 16, data: report.emotions.map(title),
      },
      grid: { left: 8, right: 24, top: innerWidth < 520 ? 72 : 44, bottom: 8, containLabel: true },
      tooltip: { trigger: "axis", valueFormatter: percent },
      xAxis: {
        type: "value",
        axisLabel: { color: colors.soft, formatter: "{value} s" },
        splitLine: { show: false },
        max: "dataMax",
      },
      yAxis: valueAxis(colors, { min: 0, max: 1 }),
      series: report.emotions.flatMap((emotion, i) => [...bands(points, i, colors), {
        type: "line",
        name: title(emotion),
        showSymbol: points.length < 40,
        symbolSize: 5,
        lineStyle: { color: colors.emotion(emotion), width: 2 },
        itemStyle: { color: colors.emotion(emotion) },
        data: points.map((point) => [point.t_s, point.means[i]]),
      }]),
    };
  }

  // A shaded band from "low" to "high": an unseen line at the low end, and what lies above it.
  function bands(points, i, colors) {
    const known = points.filter((point) => point.low);
    if (known.length === 0) return [];
    const unseen = {
      type: "line", stack: `band ${i}`, symbol: "none", silent: true, lineStyle: { opacity: 0 },
      tooltip: { show: false }, legendHoverLink: false,
    };
    return [
      { ...unseen, data: known.map((point) => [point.t_s, point.low[i]]) },
      {
        ...unseen,
        areaStyle: { color: colors.emotion(report.emotions[i]), opacity: 0.16 },
        data: known.map((point) => [point.t_s, point.high[i] - point.low[i]]),
      },
    ];
  }

  const OPTIONS = {
    shares: (colors) => shares(colors),
    groups: (colors) => groups(colors),
    differences: (colors) => differences(colors),
    curve: (colors, index) => timeline(report.video.groups[index].curve, colors),
    video: (colors, index) => timeline(report.video.videos[index].curve, colors),
  };

  function height(kind) {
    if (kind === "groups") return 90 + 46 * report.groups.filter((g) => g.faces > 0).length;
    if (kind === "differences") {
      return 76 + 28 * report.comparison.rows.length;
    }
    return 320;
  }

  const PRINT_WIDTH_PX = 660; // an A4 page between its margins
  const PNG_WIDTH_PX = 1200;

  const options = (element) =>
    OPTIONS[element.dataset.chart](palette(), Number(element.dataset.index ?? 0));

  function draw(element) {
    if (element.offsetWidth === 0) return; // in a closed <details>; drawn when it opens
    element.style.height = `${height(element.dataset.chart)}px`;
    const chart =
      echarts.getInstanceByDom(element) ?? echarts.init(element, null, { renderer: "svg" });
    chart.setOption(options(element), true);
    chart.resize({ width: onPaper ? PRINT_WIDTH_PX : "auto" });
    chart.getZr().flush(); // at once: paper does not wait for the next animation frame
    const svg = element.querySelector("svg");
    svg?.setAttribute("viewBox", `0 0 ${chart.getWidth()} ${chart.getHeight()}`); // to be scaled
    if (!element.nextElementSibling?.classList.contains("chart-tools")) addTools(element);
  }

  // The chart as a picture, drawn anew at a fixed width so that it looks the same for everybody.
  function png(element) {
    const room = document.createElement("div");
    const chart = echarts.init(room, null, {
      renderer: "canvas", width: PNG_WIDTH_PX, height: height(element.dataset.chart) + 60,
      devicePixelRatio: 2,
    });
    chart.setOption(options(element));
    const link = document.createElement("a");
    link.href = chart.getDataURL({ type: "png", backgroundColor: palette().surface });
    const number = element.dataset.index ? `-${Number(element.dataset.index) + 1}` : "";
    link.download = `${element.dataset.name}${number}.png`;
    link.click();
    chart.dispose();
  }

  function addTools(element) {
    const tools = document.createElement("p");
    tools.className = "chart-tools no-print";
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button button--quiet button--small";
    button.textContent = t("Save as PNG");
    button.setAttribute("aria-label", t("Save as PNG: {name}", { name: CHARTS[element.dataset.name] }));
    button.addEventListener("click", () => png(element));
    tools.append(button);
    element.after(tools);
  }

  const drawAll = () => document.querySelectorAll("[data-chart]").forEach(draw);
  drawAll();
  document.addEventListener("toggle", drawAll, true);
  let waiting = 0;
  addEventListener("resize", () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(drawAll);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  for (const [event, paper] of Object.entries({ beforeprint: true, afterprint: false })) {
    addEventListener(event, () => {
      onPaper = paper;
      drawAll();
    });
  }
  document.querySelectorAll("[data-print]").forEach((button) => {
    button.addEventListener("click", () => print());
  });
  document.querySelectorAll("[data-filter]").forEach((select) => {
    select.addEventListener("change", () => {
      document.querySelectorAll(`#${select.dataset.filter} tbody tr`).forEach((row) => {
        row.hidden = select.value !== "" && row.dataset.value !== select.value;
      });
    });
  });
})();
