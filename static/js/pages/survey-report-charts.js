// Draws the charts of a survey report with ECharts. Runs as it is in the page and inlined in the
// report file, so it imports nothing: ECharts is the global `echarts`, the figures are the JSON
// block #report. Every chart has its table beside it in the page.
(() => {
  const block = document.getElementById("report");
  if (!block || typeof echarts === "undefined") return;
  const report = JSON.parse(block.textContent);
  const charts = [];
  const printing = matchMedia("print");

  function palette() {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(`--${name}`).trim();
    return {
      ink: color("ink"),
      soft: color("ink-soft"),
      line: color("line"),
      surface: color("surface"),
      emotion: (name) => color(`emotion-${name}`),
    };
  }

  const title = (word) => word.charAt(0).toUpperCase() + word.slice(1);
  const percent = (value) => `${Math.round(1000 * value) / 10} %`;

  function base(colors) {
    return {
      animation: false,
      textStyle: { color: colors.ink, fontFamily: "inherit" },
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
    const corrected = Boolean(report.method.correction);
    const names = rows.map((row) => title(row.emotion));
    const interval = (key) =>
      rows.flatMap((row, i) => (row[key] ? [[i, row[key][0], row[key][1]]] : []));
    const filled = rows.map((row) => ({
      value: corrected ? row.corrected : row.share,
      itemStyle: { color: colors.emotion(row.emotion) },
    }));
    const plain = rows.map((row) => ({
      value: row.share,
      itemStyle: {
        color: "transparent", borderColor: colors.emotion(row.emotion), borderWidth: 1.5,
      },
    }));
    const series = [
      {
        type: "bar", name: corrected ? "Corrected" : "Share", data: filled, barMaxWidth: 42,
        barGap: "12%",
      },
    ];
    if (corrected) {
      series.push({ type: "bar", name: "Plain count", data: plain, barMaxWidth: 42 });
      series.push(whiskers(interval("corrected_interval"), colors.ink, { shift: -0.21 }));
      series.push(whiskers(interval("share_interval"), colors.ink, { shift: 0.21 }));
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
    const key = report.method.correction ? "corrected" : "share";
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
        data: shown.map((group) => group.emotions[i][key]),
      })),
    };
  }

  function differences(colors) {
    const rows = report.comparison.rows
      .filter((row) => row.measure !== "valence" && row.interval)
      .sort((a, b) => Math.abs(b.difference) - Math.abs(a.difference))
      .slice(0, 14)
      .reverse();
    const pairs = new Set(rows.map((row) => row.groups.join("\n")));
    const several = pairs.size > 1;
    const label = (row) =>
      several ? `${row.groups[0]} − ${row.groups[1]}: ${row.measure}` : title(row.measure);
    const room = several ? Math.round(Math.min(240, innerWidth * 0.45)) : 84;
    return {
      ...base(colors),
      grid: { left: room, right: 28, top: 36, bottom: 28 },
      title: {
        text: several ? "" : `${rows[0]?.groups[0]} minus ${rows[0]?.groups[1]}`,
        textStyle: { color: colors.soft, fontSize: 13, fontWeight: 500 },
      },
      xAxis: valueAxis(colors, {
        axisLabel: {
          color: colors.soft, formatter: (v) => `${v > 0 ? "+" : ""}${Math.round(v * 100)}`,
        },
      }),
      yAxis: categoryAxis(colors, rows.map(label), {
        axisLine: { show: false },
        axisLabel: { color: colors.ink, width: room - 12, overflow: "truncate" },
      }),
      series: [
        whiskers(rows.map((row, i) => [i, ...row.interval]), colors.ink, { horizontal: true }),
        {
          type: "scatter",
          symbolSize: 11,
          z: 6,
          data: rows.map((row, i) => ({
            value: [row.difference, i],
            itemStyle: {
              color: row.significant ? colors.emotion(row.measure) : colors.surface,
              borderColor: colors.emotion(row.measure),
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
      legend: { top: 0, textStyle: { color: colors.ink }, itemWidth: 16 },
      grid: { left: 8, right: 24, top: innerWidth < 520 ? 72 : 44, bottom: 8, containLabel: true },
      tooltip: { trigger: "axis", valueFormatter: percent },
      xAxis: {
        type: "value",
        axisLabel: { color: colors.soft, formatter: "{value} s" },
        splitLine: { show: false },
        max: "dataMax",
      },
      yAxis: valueAxis(colors, { min: 0, max: 1 }),
      series: report.emotions.map((emotion, i) => ({
        type: "line",
        name: title(emotion),
        showSymbol: points.length < 40,
        symbolSize: 5,
        lineStyle: { color: colors.emotion(emotion), width: 2 },
        itemStyle: { color: colors.emotion(emotion) },
        data: points.map((point) => [point.t_s, point.means[i]]),
      })),
    };
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
      const shown = report.comparison.rows.filter((r) => r.measure !== "valence" && r.interval);
      return 60 + 28 * Math.min(14, shown.length);
    }
    return 320;
  }

  function draw(element) {
    if (element.offsetWidth === 0) return; // in a closed <details>; drawn when it opens
    const kind = element.dataset.chart;
    element.style.height = `${height(kind)}px`;
    const chart =
      echarts.getInstanceByDom(element) ?? echarts.init(element, null, { renderer: "svg" });
    chart.setOption(OPTIONS[kind](palette(), Number(element.dataset.index ?? 0)), true);
    chart.resize();
    if (!charts.includes(element)) charts.push(element);
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
  printing.addEventListener("change", drawAll);
})();
